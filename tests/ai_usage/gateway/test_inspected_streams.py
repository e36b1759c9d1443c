"""Streams under a data boundary over HTTP: values in pieces, both dialects, tools, translations, blocks and bills."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import openai
import pytest

from tests.ai_usage.gateway.test_data_boundary import MAY, answering
from tests.ai_usage.gateway.test_explained import explained
from tests.factories.boundaries import set_boundary

__all__ = ["answering"]

TEXT = "Write to jane@example.com about DE89 3704 0044 0532 0130 00, or to bob@example.com. Thanks"
SHOWN = "Write to [EMAIL_1] about [IBAN_1], or to [EMAIL_2]. Thanks"
TOOL = {"type": "object", "properties": {"to": {"type": "string"}}}
ARGUMENTS = '{"to": "jane\\u0040example.com", "card": 4111111111111111, "n": 1}'
PIECES = [
    {},
    {"tokens_per_chunk": 3},
    {"split_bytes": 7},
    {"split_bytes": 40, "crlf": True, "comments": True},
]


def lines(answer: Any) -> Iterator[dict[str, Any]]:
    """The objects of an event stream."""
    for line in answer.text.splitlines():
        if line.startswith("data:") and "[DONE]" not in line:
            yield json.loads(line[5:])


@pytest.mark.parametrize("pieces", PIECES)
def test_a_chat_stream_is_redacted_and_billed_as_it_was_generated(new_caller, answering, simulator, pieces):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact", "iban": "redact"})
    user = answering(text=TEXT, **pieces)

    with caller.openai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "x"}],
        stream=True,
        user=user,
        logprobs=True,
    ) as stream:
        chunks = list(stream)

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SHOWN
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(c.choices[0].logprobs is None for c in chunks if c.choices)
    (served,) = simulator.settled(user=user)
    (event,) = caller.events()
    assert (event.output_tokens, event.usage_source) == (served["usage"]["completion_tokens"], "provider")
    (call,) = caller.calls()
    assert call.explanation["found"] == {"response": {"email": 2, "iban": 1}}


@pytest.mark.parametrize("pieces", PIECES)
def test_a_message_stream_is_redacted(new_caller, answering, pieces):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact", "iban": "redact"})

    with caller.anthropic.messages.stream(
        model="claude-sonnet-5-5",
        max_tokens=500,
        messages=[{"role": "user", "content": "x"}],
        metadata={"user_id": answering(text=TEXT, **pieces)},
    ) as stream:
        message = stream.get_final_message()

    assert message.content[0].text == SHOWN


@pytest.mark.parametrize("pieces", PIECES)
def test_a_response_stream_is_redacted_in_its_pieces_and_in_its_whole(new_caller, answering, pieces):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact", "iban": "redact"})

    stream = caller.openai.responses.create(
        model="gpt-4o-mini", input="x", stream=True, user=answering(text=TEXT, **pieces)
    )
    events = list(stream)

    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == SHOWN
    (done,) = [e for e in events if e.type == "response.output_text.done"]
    assert done.text == SHOWN
    assert events[-1].response.output_text == SHOWN
    numbers = [e.sequence_number for e in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    (call,) = caller.calls()
    assert call.explanation["found"] == {"response": {"email": 2, "iban": 1}}


@pytest.mark.parametrize("pieces", PIECES)
def test_a_tools_arguments_are_redacted_and_stay_json_in_every_dialect(new_caller, answering, pieces):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact", "credit_card": "redact"})
    user = answering(arguments=ARGUMENTS, **pieces)
    expected = {"to": "[EMAIL_1]", "card": "[CREDIT_CARD_1]", "n": 1}

    chunks = caller.openai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "x"}],
        tools=[{"type": "function", "function": {"name": "send", "parameters": TOOL}}],
        stream=True,
        user=user,
    )
    deltas = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    with caller.anthropic.messages.stream(
        model="claude-sonnet-5-5",
        max_tokens=500,
        messages=[{"role": "user", "content": "x"}],
        tools=[{"name": "send", "input_schema": TOOL}],
        metadata={"user_id": user},
    ) as stream:
        message = stream.get_final_message()
    events = list(
        caller.openai.responses.create(
            model="gpt-4o-mini",
            input="x",
            tools=[{"type": "function", "name": "send", "parameters": TOOL, "strict": False}],
            stream=True,
            user=user,
        )
    )

    assert deltas[0].function.name == "send"
    assert json.loads("".join(call.function.arguments or "" for call in deltas)) == expected
    assert message.content[0].input == expected
    said = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert json.loads(said) == expected
    assert json.loads(events[-1].response.output[0].arguments) == expected


def test_a_translated_stream_is_inspected_as_the_client_reads_it(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "redact"}, restore=True, response={"iban": "redact"})

    chunks = caller.openai.chat.completions.create(
        model="claude-sonnet-5-5",
        messages=[{"role": "user", "content": "jane@example.com and DE89370400440532013000 end"}],
        stream=True,
        user=answering(echo=True),
    )

    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == "jane@example.com and [IBAN_1] end"


def test_several_choices_are_told_apart(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact"})

    chunks = caller.openai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "x"}],
        n=2,
        stream=True,
        user=answering(text="To jane@example.com now"),
    )

    said = ["", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == ["To [EMAIL_1] now"] * 2


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_blocked_stream_ends_in_the_dialects_error_and_is_charged_exactly(
    new_caller, answering, simulator, path
):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"iban": "block"})
    user = answering(text="Pay to DE89 3704 0044 0532 0130 00 today and be done with it.")
    body: dict[str, Any] = {"model": "gpt-4o-mini", "stream": True, "user": user}
    if path == "/v1/messages":
        body = {"model": "claude-sonnet-5-5", "stream": True, "max_tokens": 99, "metadata": {"user_id": user}}
    body |= {"input": "x"} if path == "/v1/responses" else {"messages": [{"role": "user", "content": "x"}]}

    answer = caller.post(path, body)

    assert answer.status_code == 200
    assert "DE89" not in answer.text and "3704" not in answer.text
    last = list(lines(answer))[-1]
    assert "content_blocked" in (last.get("code"), last.get("error", {}).get("code"))
    assert "[DONE]" not in answer.text
    (served,) = simulator.settled(user=user)
    (event,) = caller.events()
    output = served["usage"].get("completion_tokens") or served["usage"]["output_tokens"]
    assert (event.output_tokens, event.usage_source) == (output, "drained")
    told = explained(caller, answer)
    assert (told["call"]["outcome"], told["call"]["error_code"]) == ("refused", "content_blocked")
    assert told["explanation"]["blocked"] == ["iban"]


def test_a_blocked_stream_makes_the_sdk_raise(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "block"})

    with pytest.raises(openai.APIError, match="email"):
        list(
            caller.openai.chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": "x"}],
                stream=True,
                user=answering(text="It is jane@example.com you want."),
            )
        )


def test_words_are_shown_as_they_come(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact"})
    user = answering(text="one two three four five six", between_chunks_ms=150)
    arrived = []

    for chunk in caller.openai.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}], stream=True, user=user
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            arrived.append(time.monotonic())

    gaps = [after - before for before, after in pairwise(arrived)]
    assert len(arrived) >= 5
    assert max(gaps) < 0.4
    assert arrived[-1] - arrived[0] > 0.4


def test_a_stream_that_breaks_off_shows_what_came_before_its_error(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact"})
    user = answering(text="To jane@example.com and others", close_after_chunks=8, no_terminal=True)

    answer = caller.post(
        "/v1/chat/completions",
        {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "x"}],
            "stream": True,
            "user": user,
        },
    )

    said = [line for line in lines(answer) if line.get("choices")]
    text = "".join(line["choices"][0]["delta"].get("content") or "" for line in said)
    assert text.startswith("To [EMAIL_1]")
    assert "jane" not in answer.text
    assert list(lines(answer))[-1]["error"]["code"] == "stream_interrupted"
