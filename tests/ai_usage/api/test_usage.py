"""GET /api/v1/usage: the ledger to the last digit, for who may see it."""

from decimal import Decimal

import pytest
from django.test import Client

from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key
from tests.factories.usage import KEY, NOW, OWNER, answered, hours, line, roll_up

TODAY = {"from": "2026-11-24", "to": "2026-11-25T00:00:00Z"}
MAY = ("usage:read",)


def test_usage_is_by_model_unless_asked_otherwise(ask):
    answered()
    roll_up()
    answered(model="gpt-4o", lines=[line("input", 3, "2.5"), line("cache_read", 4, "1.25")])

    answer = ask("usage", TODAY, scopes=MAY)

    assert answer.status_code == 200
    assert answer.json() == {
        "from": "2026-11-24T00:00:00Z",
        "to": "2026-11-25T00:00:00Z",
        "data": [
            {
                "group": {"model": "gpt-4o-mini"},
                "currency": "USD",
                "price": "0.000324",
                "calls": 1,
                "input_tokens": 1000,
                "cached_tokens": 0,
                "output_tokens": 200,
                "quantities": {"input": 1000, "output": 200},
            },
            {
                "group": {"model": "gpt-4o"},
                "currency": "USD",
                "price": "0.0000125",
                "calls": 1,
                "input_tokens": 7,
                "cached_tokens": 4,
                "output_tokens": 0,
                "quantities": {"input": 3, "cache_read": 4},
            },
        ],
        "totals": [
            {
                "currency": "USD",
                "price": "0.0003365",
                "calls": 2,
                "input_tokens": 1007,
                "cached_tokens": 4,
                "output_tokens": 200,
                "quantities": {"input": 1003, "output": 200, "cache_read": 4},
            }
        ],
    }


def test_time_and_another_grouping_go_together(ask):
    answered()
    answered(NOW - hours(1))
    answered(NOW - hours(1), model="gpt-4o")

    rows = ask("usage", TODAY | {"group_by": "hour,model"}, scopes=MAY).json()["data"]

    assert [row["group"] for row in rows] == [
        {"hour": "2026-11-24T13:00:00Z", "model": "gpt-4o"},
        {"hour": "2026-11-24T13:00:00Z", "model": "gpt-4o-mini"},
        {"hour": "2026-11-24T14:00:00Z", "model": "gpt-4o-mini"},
    ]


def test_keys_and_owners_come_with_their_names(ask):
    key = make_key(name="checkout key")
    answered(key_id=key.key.id, owner_id=key.key.owner.id)
    answered(lines=[line("output", 1, "1")])

    by_key = ask("usage", TODAY | {"group_by": "key"}, scopes=MAY).json()["data"]
    by_owner = ask("usage", TODAY | {"group_by": "owner"}, scopes=MAY).json()["data"]

    assert [row["group"] for row in by_key] == [
        {"key": str(key.key.id), "key_name": "checkout key"},
        {"key": str(KEY), "key_name": ""},
    ]
    assert [row["group"] for row in by_owner] == [
        {"owner": str(key.key.owner.id), "owner_name": "checkout"},
        {"owner": str(OWNER), "owner_name": ""},
    ]


def test_filters_narrow_the_sum(ask):
    answered()
    answered(model="gpt-4o")

    totals = ask("usage", TODAY | {"model": "gpt-4o", "key": str(KEY), "group_by": ""}, scopes=MAY).json()

    assert totals["data"] == [] or len(totals["data"]) == 1
    assert [total["calls"] for total in totals["totals"]] == [1]


def test_no_usage_is_no_rows(ask):
    answer = ask("usage", TODAY, scopes=MAY)

    assert (answer.json()["data"], answer.json()["totals"]) == ([], [])


def test_the_operators_cost_is_nowhere_in_the_answer(ask):
    answered()

    body = ask("usage", TODAY | {"group_by": "day,class"}, scopes=MAY).content.decode()

    assert "cost" not in body
    assert "0.00015" not in body  # a thousand tokens at what the operator pays


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from": "2026-11-24T10:30:00Z", "to": "2026-11-25T00:00:00Z"}, "invalid_period"),
        ({"from": "2026-11-25", "to": "2026-11-24"}, "invalid_period"),
        ({"from": "2020-01-01", "to": "2026-11-24"}, "invalid_period"),
        (TODAY | {"group_by": "day,hour"}, "invalid_period"),
        (TODAY | {"group_by": "moon"}, "invalid_request"),
        (TODAY | {"key": "mine"}, "invalid_request"),
        (TODAY | {"group": "model"}, "invalid_request"),
        ({"from": "yesterday"}, "invalid_request"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_with_its_reason(ask, query, code):
    answer = ask("usage", query, scopes=MAY)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == code


def test_a_key_without_the_scope_is_refused_and_learns_which_it_lacks(ask):
    answer = ask("usage", TODAY, scopes=("calls:read",))

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert "usage:read" in answer.json()["detail"]


def test_without_a_key_there_is_no_answer(tenant):
    answer = Client(HTTP_HOST="localhost").get("/api/v1/usage")

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")


def test_another_tenants_key_sees_another_tenants_usage(tenant, globex):
    answered()
    with in_tenant(globex):
        theirs = make_key(scopes=["usage:read"])

    client = Client(HTTP_HOST="localhost", headers={"authorization": f"Bearer {theirs.secret}"})
    answer = client.get("/api/v1/usage", TODAY | {"group_by": "key"})

    assert (answer.status_code, answer.json()["data"]) == (200, [])


def test_amounts_are_plain_decimals_however_small_or_large(ask):
    answered(lines=[line("output", 1, "0.000001")])
    answered(model="dear", lines=[line("output", 10**12, "1000000", cost_per_million="0")])

    rows = ask("usage", TODAY, scopes=MAY).json()["data"]

    assert [row["price"] for row in rows] == ["1000000000000", "0.000000000001"]
    assert sum(Decimal(row["price"]) for row in rows) == Decimal("1000000000000.000000000001")
