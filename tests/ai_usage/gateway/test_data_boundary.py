"""The data boundary over HTTP: what reaches the provider, what comes back, what is recorded, and when it holds."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from apps.governance.data_boundary.policy import Floor
from apps.governance.data_boundary.settings import set_floor
from apps.governance.types import Actor
from tests.ai_usage.gateway.test_explained import counted, explained
from tests.factories.boundaries import set_boundary
from tests.planes import control_plane

MAY = {"scopes": ["inference:write", "usage:read", "calls:read"]}
CARD = "4111 1111 1111 1111"


@pytest.fixture
def answering(simulator: Any) -> Iterator[Any]:
    """Makes users whose calls the model answers as told: `answering(text="…")`, or with the prompt it got."""

    def make(**effect: Any) -> str:
        user = f"u{uuid.uuid4().hex[:12]}"
        simulator.add_fault(effect or {"echo": True}, match={"user": user})
        return user

    yield make
    simulator._call("DELETE", "/_faults")


def said(answer: requests.Response) -> str:
    """The text of a chat completion."""
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_a_redacted_request_reaches_the_provider_with_placeholders_and_comes_back_with_them(
    new_caller, answering
):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "redact", "credit_card": "redact"})

    answer = caller.chat(f"From jane@example.com, card {CARD}, to bob@example.com", user=answering())

    assert answer.status_code == 200
    assert said(answer) == "From [EMAIL_1], card [CREDIT_CARD_1], to [EMAIL_2]"
    assert explained(caller, answer)["explanation"]["found"] == {"request": {"email": 2, "credit_card": 1}}
    (event,) = caller.events()
    assert event.usage_source == "provider"


def test_placeholders_are_turned_back_where_the_policy_says_so(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "redact"}, restore=True)

    answer = caller.chat("To jane@example.com and [EMAIL_7]", user=answering())

    assert said(answer) == "To jane@example.com and [EMAIL_7]"
    provider = caller.post(
        "/v1/messages",
        {
            "model": "claude-sonnet-5-5",
            "max_tokens": 90,
            "system": "Mail jane\u0040example.com",
            "messages": [{"role": "user", "content": "hi"}],
            "metadata": {"user_id": answering()},
        },
    )
    assert "jane@example.com" in provider.json()["content"][0]["text"]


def test_a_request_without_findings_goes_out_byte_for_byte(new_caller, answering, simulator):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "block"}, response={"email": "block"})
    raw = b'{ "messages" : [ {"role":"user","content":"no\\u0020body"} ],"x":1.50, "model":"gpt-4o-mini" }'

    answer = caller.post("/v1/chat/completions", data=raw, headers={"content-type": "application/json"})

    assert answer.status_code == 200
    assert explained(caller, answer)["explanation"]["found"] == {}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "{}"}]}),
        ("/v1/responses", {"model": "gpt-4o-mini", "instructions": "{}", "input": "x"}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["x", "{}"]}),
        (
            "/v1/messages",
            {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "{}"}]},
        ),
        (
            "/v1/messages/count_tokens",
            {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "{}"}]},
        ),
    ],
)
def test_what_is_blocked_is_refused_at_each_endpoint_before_anybody_is_asked(
    new_caller, simulator, path, body
):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"credit_card": "block", "email": "block"})
    before = simulator.last_seq()

    answer = caller.post(path, json.loads(json.dumps(body).replace("{}", f"{CARD} and a@example.com")))

    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "content_blocked"
    assert "credit_card, email" in error["message"]
    assert "4111" not in answer.text
    assert simulator.served(since=before, billed="any") == []
    assert caller.events() == []


def test_a_refusal_is_recorded_with_counts_and_without_values(new_caller):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "block"})
    before = counted(caller, "lockstep_data_blocked_total", **{"direction": "request", "class": "email"})

    answer = caller.chat("a@example.com b@example.com")

    told = explained(caller, answer)
    assert (told["call"]["outcome"], told["call"]["error_code"]) == ("refused", "content_blocked")
    assert told["explanation"]["found"] == {"request": {"email": 2}}
    assert told["explanation"]["blocked"] == ["email"]
    assert "example.com" not in json.dumps(told)
    after = counted(caller, "lockstep_data_blocked_total", **{"direction": "request", "class": "email"})
    assert after == before + 1


def test_an_answer_that_is_blocked_is_charged_and_not_shown(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"iban": "block"})

    answer = caller.chat(user=answering(text="Pay to DE89370400440532013000."))

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "content_blocked"
    assert "DE89" not in answer.text
    (event,) = caller.events()
    told = explained(caller, answer)
    assert event.price > 0
    assert tuple(told["call"][name] for name in ("outcome", "error_code", "status")) == (
        "refused",
        "content_blocked",
        403,
    )
    assert told["call"]["price"] == f"{event.price:f}".rstrip("0")


def test_an_answer_is_redacted_without_its_log_probabilities(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"email": "redact"})

    answer = caller.chat("x", user=answering(text="Ask ann@example.com."), logprobs=True)

    assert said(answer) == "Ask [EMAIL_1]."
    assert "ann@" not in answer.text


def test_an_answer_of_another_dialect_is_inspected_as_it_is_shown(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "redact"}, restore=True, response={"iban": "redact"})

    answer = caller.post(
        "/v1/chat/completions",
        {
            "model": "claude-sonnet-5-5",
            "messages": [{"role": "user", "content": "a@example.com DE89370400440532013000"}],
            "user": answering(),
        },
    )

    assert said(answer) == "a@example.com [IBAN_1]"


def test_a_change_holds_on_the_next_request_and_is_audited(new_caller, answering):
    from apps.governance.models import AuditEntry
    from apps.tenancy.services import in_tenant

    caller = new_caller(MAY)
    assert caller.chat("a@example.com").status_code == 200

    set_boundary(caller.tenant, request={"email": "block", "api_key": "block"})
    blocked = caller.chat("a@example.com")
    set_boundary(caller.tenant, request={})
    free = caller.chat("a@example.com")

    assert (blocked.status_code, free.status_code) == (403, 200)
    with in_tenant(caller.tenant):
        entries = list(AuditEntry.objects.filter(action="data_boundary.changed").order_by("sequence"))
    assert [entry.details["after"]["request"] for entry in entries] == [["block email", "block api_key"], []]
    assert entries[1].details["before"]["request"] == ["block email", "block api_key"]


def test_what_the_operator_requires_holds_for_a_tenant_that_chose_nothing(new_caller):
    caller = new_caller(MAY)
    assert caller.chat("DE89370400440532013000").status_code == 200

    try:
        with control_plane():
            set_floor(Floor.from_json({"request": {"iban": "block"}}), actor=Actor.system("tests"))
        blocked = caller.chat("DE89370400440532013000")
    finally:
        with control_plane():
            set_floor(Floor(), actor=Actor.system("tests"))

    assert blocked.json()["error"]["code"] == "content_blocked"
    assert caller.chat("DE89370400440532013000").status_code == 200


def test_one_tenants_boundary_is_not_anothers(new_caller):
    strict, free = new_caller(MAY), new_caller(MAY)
    set_boundary(strict.tenant, request={"email": "block"})

    assert strict.chat("a@example.com").status_code == 403
    assert free.chat("a@example.com").status_code == 200


@pytest.mark.parametrize(("on_failure", "status"), [("block", 403), ("allow", 200)])
def test_a_text_that_takes_too_long_is_answered_as_the_policy_has_it(new_caller, on_failure, status):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"phone": "redact", "credit_card": "redact"}, on_failure=on_failure)
    answered = {"block": "blocked", "allow": "allowed"}[on_failure]
    before = counted(caller, "lockstep_data_uninspected_total", direction="request", answer=answered)

    answer = caller.chat("+1 415 555 2671 " * 400_000)

    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "inspection_failed"
    else:
        assert explained(caller, answer)["explanation"]["uninspected"] == ["request"]
    after = counted(caller, "lockstep_data_uninspected_total", direction="request", answer=answered)
    assert after == before + 1


def test_a_member_given_twice_anywhere_is_refused_where_texts_are_inspected(new_caller):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, request={"email": "block"})
    raw = (
        b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"a@example.com","content":"nothing"}]}'
    )

    answer = caller.post("/v1/chat/completions", data=raw, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "duplicate_member")


def test_an_idempotent_call_whose_answer_is_blocked_leaves_nothing_to_repeat(new_caller, answering):
    caller = new_caller(MAY)
    set_boundary(caller.tenant, response={"iban": "block"})
    user, named = answering(text="DE89370400440532013000"), {"headers": {"idempotency-key": uuid.uuid4().hex}}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}], "user": user}

    first = caller.post("/v1/chat/completions", body, **named)
    second = caller.post("/v1/chat/completions", body, **named)

    assert (first.status_code, second.status_code) == (403, 403)
    assert len(caller.events()) == 2
