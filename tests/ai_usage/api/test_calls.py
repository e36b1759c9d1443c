"""GET /api/v1/calls and one of them: where a call went, why, and how its price comes about."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from uuid_utils.compat import uuid7

from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key
from tests.factories.usage import KEY, NOW, OWNER, answered, attempt, event, hours, refused, store_records

MAY = ("calls:read",)


def test_calls_come_newest_first_and_in_pages(ask):
    ids = [str(answered(NOW - timedelta(minutes=minute)).call["id"]) for minute in range(5)]
    key = make_key(scopes=list(MAY))
    client = Client(HTTP_HOST="localhost", headers={"authorization": f"Bearer {key.secret}"})

    first = client.get("/api/v1/calls", {"limit": "2"}).json()
    answered(NOW + hours(1))
    second = client.get("/api/v1/calls", {"limit": "2", "cursor": first["next_cursor"]}).json()
    third = client.get("/api/v1/calls", {"limit": "2", "cursor": second["next_cursor"]}).json()

    assert [call["id"] for page in (first, second, third) for call in page["data"]] == ids
    assert third["next_cursor"] is None


def test_a_cursor_of_other_filters_is_refused(ask):
    for _ in range(2):
        answered()
    key = make_key(scopes=list(MAY))
    client = Client(HTTP_HOST="localhost", headers={"authorization": f"Bearer {key.secret}"})
    cursor = client.get("/api/v1/calls", {"limit": "1"}).json()["next_cursor"]

    answer = client.get("/api/v1/calls", {"limit": "1", "cursor": cursor, "outcome": "ok"})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_a_call_in_the_list_says_what_it_was(ask):
    record = answered(tags={"team": "payments"})

    (call,) = ask("calls", scopes=MAY).json()["data"]

    assert call == {
        "id": str(record.call["id"]),
        "started_at": "2026-11-24T14:30:00Z",
        "key_id": str(KEY),
        "owner": {"kind": "service_account", "id": str(OWNER)},
        "environment": "live",
        "endpoint": "chat.completions",
        "model": "gpt-4o-mini",
        "stream": False,
        "status": 200,
        "outcome": "ok",
        "error_code": "",
        "duration_ms": 120,
        "first_byte_ms": None,
        "attempts": 1,
        "provider": "openai",
        "served_model": "gpt-4o-mini",
        "input_tokens": 1000,
        "output_tokens": 200,
        "price": "0.000324",
        "currency": "USD",
        "usage_source": "provider",
        "tags": {"team": "payments"},
    }


def test_filters_add_up(ask):
    answered()
    wanted = refused(model="gpt-4o")
    refused(NOW - hours(3), model="gpt-4o")

    found = ask(
        "calls",
        {"model": "gpt-4o", "outcome": "refused", "key": str(KEY), "from": "2026-11-24T14:00:00Z"},
        scopes=MAY,
    ).json()["data"]

    assert [call["id"] for call in found] == [str(wanted.call["id"])]


@pytest.mark.parametrize(
    "query", [{"outcome": "splendid"}, {"key": "1"}, {"from": "soon"}, {"sort": "price"}]
)
def test_a_filter_that_does_not_exist_is_refused(ask, query):
    answer = ask("calls", query, scopes=MAY)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_one_call_explains_itself(ask):
    record = answered(
        store=False,
        attempts=2,
        explanation={
            "targets": ["azure/gpt-4o-mini", "openai/gpt-4o-mini"],
            "limits": [["tenant.spend_per_month", "money", 50 * 10**9, 49_500_000_000]],
            "held": 12_000_000,
            "asked": 4096,
            "granted": 812,
        },
    )
    record.attempts = [
        attempt(record.call, 1, provider="azure", status=429, outcome="rate_limited", error="answered 429"),
        attempt(record.call, 2, waited_ms=250),
    ]
    store_records([record])

    answer = ask(f"calls/{record.call['id']}", scopes=MAY).json()

    assert answer["call"]["price"] == "0.000324"
    tries = [(each["target"], each["status"], each["waited_ms"], each["why"]) for each in answer["attempts"]]
    assert tries == [
        ("azure/gpt-4o-mini", 429, 0, "answered 429"),
        ("openai/gpt-4o-mini", 200, 250, ""),
    ]
    (used,) = answer["usage"]
    lines = record.events[0]["lines"]
    assert used["lines"] == [
        {
            "quantity_class": "input",
            "quantity": 1000,
            "price_per_million": "0.18",
            "price": "0.00018",
            "price_id": lines[0]["price_id"],
            "rate_id": lines[0]["rate_id"],
        },
        {
            "quantity_class": "output",
            "quantity": 200,
            "price_per_million": "0.72",
            "price": "0.000144",
            "price_id": lines[1]["price_id"],
            "rate_id": lines[1]["rate_id"],
        },
    ]
    for each in used["lines"]:
        assert Decimal(each["price_per_million"]) * each["quantity"] / 10**6 == Decimal(each["price"])
    assert answer["explanation"] == {
        "targets": ["azure/gpt-4o-mini", "openai/gpt-4o-mini"],
        "skipped": [],
        "shadowed": [],
        "prompt": None,
        "repeats": None,
        "would_have_refused": [],
        "limits": [{"name": "tenant.spend_per_month", "unit": "money", "limit": "50", "left": "49.5"}],
        "held": "0.012",
        "asked_output_tokens": 4096,
        "granted_output_tokens": 812,
        "checked_without_valkey": False,
        "found": {},
        "blocked": [],
        "uninspected": [],
        "refusal": "",
    }


def test_neither_the_operators_cost_nor_the_providers_raw_words_are_told(ask):
    record = answered(store=False)
    free = [{**each, "price": "0", "price_per_million": "0"} for each in record.events[0]["lines"]]
    record.events.append(event(record.call, free, anomaly="lost:cut"))
    store_records([record])

    one = ask(f"calls/{record.call['id']}", scopes=MAY)
    listed = ask("calls", scopes=MAY)

    assert sorted(each["charged"] for each in one.json()["usage"]) == [False, True]
    for body in (one.content.decode(), listed.content.decode()):
        assert "cost" not in body
        assert "prompt_tokens" not in body


def test_another_tenants_call_and_no_call_are_the_same_answer(ask, globex):
    with in_tenant(globex):
        theirs = answered().call["id"]

    foreign = ask(f"calls/{theirs}", scopes=MAY)
    unknown = ask(f"calls/{uuid7()}", scopes=MAY)

    assert (foreign.status_code, foreign.json()["code"]) == (404, "call_not_found")
    assert foreign.json() == unknown.json()


@pytest.mark.parametrize("path", ["calls", f"calls/{KEY}"])
def test_a_key_without_the_scope_sees_no_calls(ask, path):
    answer = ask(path, scopes=("usage:read",))

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
