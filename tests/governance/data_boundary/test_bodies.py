"""Whole bodies: which texts are looked at, what changes in them, and what comes back."""

import orjson
import pytest

from apps.governance.data_boundary.classes import DataClass, Direction
from apps.governance.data_boundary.errors import Blocked
from apps.governance.data_boundary.inspecting import Ambiguous, check_unambiguous, inspect_body
from apps.governance.data_boundary.policy import Boundary, Floor
from apps.governance.data_boundary.redaction import Redactor

REDACT_ALL = Boundary.from_json(
    {
        "request": dict.fromkeys(DataClass, "redact"),
        "response": dict.fromkeys(DataClass, "redact"),
        "restore": True,
    }
)


def redacted(body, boundary=REDACT_ALL, redactor=None, direction=Direction.REQUEST):
    """The body after inspection."""
    parsed = orjson.loads(orjson.dumps(body))
    inspect_body(parsed, boundary, redactor or Redactor(restores=boundary.restore), direction)
    return parsed


@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"messages": [{"role": "user", "content": text}]},
        lambda text: {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        lambda text: {"system": text, "messages": []},
        lambda text: {"system": [{"type": "text", "text": text}], "messages": []},
        lambda text: {"instructions": text, "input": "x"},
        lambda text: {"input": text},
        lambda text: {"input": ["x", text]},
        lambda text: {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]},
        lambda text: {"input": [{"type": "function_call_output", "call_id": "c", "output": text}]},
        lambda text: {"input": [{"type": "function_call", "call_id": "c", "arguments": text}]},
        lambda text: {"messages": [{"role": "tool", "tool_call_id": "c", "content": text}]},
        lambda text: {
            "messages": [{"content": [{"type": "tool_result", "tool_use_id": "c", "content": text}]}]
        },
        lambda text: {"messages": [{"content": [{"type": "tool_use", "id": "c", "input": {"name": text}}]}]},
        lambda text: {
            "messages": [{"content": [{"type": "document", "source": {"type": "text", "data": text}}]}]
        },
        lambda text: {"tools": [{"function": {"name": "f", "description": text}}]},
        lambda text: {"prompt": {"id": "p", "variables": {"who": text}}},
        lambda text: {"metadata": {"name": text}},
        lambda text: {"user": text},
    ],
)
def test_every_text_of_a_request_is_looked_at(place):
    assert redacted(place("to jane@example.com")) == place("to [EMAIL_1]")


def test_what_protocols_read_is_left_alone():
    body = {
        "model": "a@example.com",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://a@example.com/x.png"}},
                    {"type": "image", "source": {"type": "base64", "data": "a@example.com"}},
                ],
            }
        ],
        "input": [4111111111111111, 5],
    }

    assert redacted(body) == body


def test_one_value_has_one_placeholder_and_another_has_another():
    text = "jane@example.com, bob@example.com, jane@example.com, 4111111111111111"

    assert redacted({"input": text}) == {"input": "[EMAIL_1], [EMAIL_2], [EMAIL_1], [CREDIT_CARD_1]"}


def test_a_placeholder_that_was_in_the_text_already_is_not_given_to_a_value():
    redactor = Redactor(restores=True)

    sent = redacted({"input": "[EMAIL_1] is jane@example.com"}, redactor=redactor)
    answer = redacted({"text": "[EMAIL_1] [EMAIL_2]"}, redactor=redactor, direction=Direction.RESPONSE)

    assert sent == {"input": "[EMAIL_1] is [EMAIL_2]"}
    assert answer == {"text": "[EMAIL_1] jane@example.com"}


def test_escapes_of_json_within_json_are_read():
    arguments = '{"to": "b\\u0040example.com\\nc@example.com", "card": 4111111111111111, "t": "card 4111111111111111"}'

    sent = redacted({"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}]})

    inner = orjson.loads(sent["messages"][0]["tool_calls"][0]["function"]["arguments"])
    assert inner == {"to": "[EMAIL_1]\n[EMAIL_2]", "card": "[CREDIT_CARD_1]", "t": "card [CREDIT_CARD_1]"}


def test_numbers_in_what_a_tool_is_given_are_looked_at():
    body = {
        "messages": [
            {"content": [{"type": "tool_use", "id": "t", "input": {"card": 4111111111111111, "n": 3}}]}
        ]
    }

    sent = redacted(body)

    assert sent["messages"][0]["content"][0]["input"] == {"card": "[CREDIT_CARD_1]", "n": 3}


def test_what_is_put_back_into_arguments_keeps_them_json():
    redactor = Redactor(restores=True)
    redacted({"input": '-----BEGIN PRIVATE KEY-----\n"x"\n-----END PRIVATE KEY-----'}, redactor=redactor)

    answer = redacted(
        {"arguments": '{"k": "[PRIVATE_KEY_1]"}'}, redactor=redactor, direction=Direction.RESPONSE
    )

    assert orjson.loads(answer["arguments"]) == {
        "k": '-----BEGIN PRIVATE KEY-----\n"x"\n-----END PRIVATE KEY-----'
    }


def test_nothing_is_put_back_where_the_policy_does_not_say_so():
    boundary = Boundary.from_json({"request": {"email": "redact"}})
    redactor = Redactor(restores=False)
    redacted({"input": "a@example.com"}, boundary, redactor)

    answer = redacted({"text": "[EMAIL_1]"}, boundary, redactor, Direction.RESPONSE)

    assert answer == {"text": "[EMAIL_1]"}


def test_what_is_blocked_is_named_by_class_and_what_was_found_is_counted():
    boundary = Boundary.from_json({"request": {"email": "block", "iban": "block", "phone": "allow"}})
    redactor = Redactor(restores=False)

    with pytest.raises(Blocked) as blocked:
        redacted({"input": "a@example.com b@example.com +1 415 555 2671"}, boundary, redactor)

    assert blocked.value.classes == ["email"]
    assert "example" not in str(blocked.value)
    assert redactor.found[Direction.REQUEST] == {"email": 2, "phone": 1}


def test_a_key_in_one_text_does_not_swallow_the_next():
    sent = redacted({"messages": [{"content": "-----BEGIN PRIVATE KEY-----\nabc"}, {"content": "Hello"}]})

    assert sent["messages"][0] == {"content": "[PRIVATE_KEY_1]"}


@pytest.mark.parametrize(
    "body", [b'{"a": {"b": 1, "b": 2}}', b'{"m": [{"content": "x", "c\\u006fntent": "y"}]}', b"[" * 100_000]
)
def test_a_body_that_can_be_read_in_two_ways_is_not_inspected(body):
    with pytest.raises((Ambiguous, ValueError)):
        check_unambiguous(body)


def test_the_operators_requirement_tightens_and_never_loosens():
    own = Boundary.from_json(
        {"request": {"email": "block", "phone": "allow"}, "on_failure": "allow", "retention_days": 90}
    )
    floor = Floor.from_json(
        {
            "request": {"email": "redact", "phone": "redact", "iban": "block"},
            "response": {"jwt": "block"},
            "block_on_failure": True,
            "most_retention_days": 30,
        }
    )

    within = own.within(floor).to_json()

    assert within["request"] == {"email": "block", "phone": "redact", "iban": "block"}
    assert within["response"] == {"jwt": "block"}
    assert (within["on_failure"], within["retention_days"]) == ("block", 30)
