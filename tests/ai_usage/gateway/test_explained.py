"""A call made over HTTP explains itself to whoever made it, and is counted by the process that served it."""

import time
from decimal import Decimal
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

MAY = {"scopes": ["inference:write", "usage:read", "calls:read"]}


def explained(caller: Any, answer: requests.Response) -> dict[str, Any]:
    """What the API says of a call. A refusal waits for nobody, so its row may come a moment after its answer."""
    until = time.monotonic() + 5
    while True:
        told = caller.get(f"/api/v1/calls/{answer.headers['x-lockstep-call-id']}")
        if told.status_code == 200 or time.monotonic() > until:
            found: dict[str, Any] = told.json()
            return found
        time.sleep(0.02)


def counted(caller: Any, name: str, **labels: str) -> float:
    """One sample of the web process's metrics."""
    text = requests.get(f"{caller.web.url}/metrics", timeout=10).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return 0.0


def test_an_answered_call_tells_where_it_went_what_it_held_and_what_is_left(new_caller):
    caller = new_caller(MAY, requests_per_minute=60, spend_per_month="5")
    before = counted(caller, "lockstep_calls_total", endpoint="chat.completions", outcome="ok")

    answer = caller.chat(max_tokens=50)

    told = explained(caller, answer)
    assert answer.status_code == 200
    assert [(each["target"], each["outcome"], each["status"]) for each in told["attempts"]] == [
        ("openai/gpt-4o-mini", "ok", 200)
    ]
    (event,) = caller.events()
    (used,) = told["usage"]
    assert Decimal(used["price"]) == event.price == sum(Decimal(line["price"]) for line in used["lines"])
    why = told["explanation"]
    assert why["targets"] == ["openai/gpt-4o-mini"]
    limits = {limit["name"]: limit for limit in why["limits"]}
    assert (limits["tenant.requests_per_minute"]["limit"], limits["tenant.requests_per_minute"]["left"]) == (
        "60",
        "59",
    )
    budget = limits["tenant.spend_per_month"]
    assert (budget["unit"], budget["limit"]) == ("money", "5")
    assert Decimal(budget["left"]) == 5 - Decimal(why["held"])
    assert Decimal(why["held"]) >= event.price
    assert counted(caller, "lockstep_calls_total", endpoint="chat.completions", outcome="ok") == before + 1


def test_a_retry_tells_both_attempts_and_the_pause_between_them(new_caller, simulator):
    caller = new_caller(MAY)
    simulator.add_fault({"status": 503}, match={"model": "gpt-4o-mini"}, times=1)

    told = explained(caller, caller.chat())

    first, second = told["attempts"]
    assert (first["outcome"], first["status"], first["waited_ms"]) == ("overloaded", 503, 0)
    assert (second["outcome"], second["status"]) == ("ok", 200)
    assert second["waited_ms"] > 0
    assert told["call"]["attempts"] == 2


def test_a_clamped_answer_tells_what_was_asked_and_what_was_granted(new_caller):
    # Room for a few hundred tokens of output at 0.72 a million, not for a hundred thousand.
    caller = new_caller(MAY, spend_per_month="0.001")

    answer = caller.chat(max_tokens=100_000)

    why = explained(caller, answer)["explanation"]
    assert answer.status_code == 200
    assert why["asked_output_tokens"] == 100_000
    assert why["granted_output_tokens"] == int(answer.headers["x-lockstep-output-clamped-to"])
    assert Decimal(why["held"]) <= Decimal("0.001")


def test_a_refusal_tells_its_reason_in_the_words_of_the_answer(new_caller):
    caller = new_caller(MAY, spend_per_month="0.00001")
    before = counted(caller, "lockstep_refusals_total", code="budget_exhausted")

    answer = caller.chat(max_tokens=100_000)

    told = explained(caller, answer)
    assert answer.status_code == 429
    assert (told["call"]["outcome"], told["call"]["error_code"]) == ("refused", "budget_exhausted")
    assert told["explanation"]["refusal"] == answer.json()["error"]["message"]
    assert (told["attempts"], told["usage"]) == ([], [])
    assert counted(caller, "lockstep_refusals_total", code="budget_exhausted") == before + 1


def test_the_usage_api_has_a_call_the_moment_it_is_answered(new_caller):
    caller = new_caller(MAY)

    caller.chat()
    caller.chat()

    (total,) = caller.get("/api/v1/usage?group_by=").json()["totals"]
    events = caller.events()
    assert total["calls"] == 2
    assert Decimal(total["price"]) == sum(event.price for event in events)
    assert total["input_tokens"] == sum(event.input_tokens for event in events)
    assert total["output_tokens"] == sum(event.output_tokens for event in events)
