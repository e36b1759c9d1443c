"""The list of calls keeps its order while calls come in; one call tells all but the operator's cost."""

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from apps.ai_usage.errors import CallNotFound
from apps.ai_usage.insight import types
from apps.ai_usage.insight.calls import CallOrder, any_calls, call_detail, calls, parse_position, position_of
from apps.ai_usage.insight.health import recent_health
from apps.ai_usage.insight.types import CallFilter
from apps.tenancy.services import in_tenant
from tests.factories.usage import KEY, NOW, answered, attempt, event, hours, refused, store_records

OTHER_KEY = UUID("01938c5e-7b1f-7d3a-9c55-0d2f1c7e9a11")


def test_pages_follow_each_other_without_gap_or_double(tenant):
    ids = [answered(NOW - timedelta(minutes=minute)).call["id"] for minute in range(5)]

    first = calls(limit=2)
    answered(NOW + timedelta(minutes=1))
    second = calls(beyond=position_of(first[-1]), limit=2)
    third = calls(beyond=position_of(second[-1]), limit=2)

    assert [call.id for call in (*first, *second, *third)] == ids


def test_calls_of_the_same_instant_each_have_a_place(tenant):
    ids = {answered(NOW).call["id"] for _ in range(4)}

    first = calls(limit=3)
    rest = calls(beyond=position_of(first[-1]), limit=3)

    assert {call.id for call in first} | {call.id for call in rest} == ids
    assert len(first) + len(rest) == 4


def test_the_page_before_is_the_one_that_was_seen(tenant):
    for minute in range(5):
        answered(NOW - timedelta(minutes=minute))
    first = calls(limit=2)
    second = calls(beyond=position_of(first[-1]), limit=2)

    back = calls(beyond=position_of(second[0]), backwards=True, limit=2)

    assert back == first


@pytest.mark.parametrize("column", ["price", "duration_ms", "output_tokens", "model"])
def test_other_orders_page_as_well(tenant, column):
    for place in range(4):
        answered(NOW - timedelta(minutes=place), duration_ms=100 * (place % 2), model=f"m{place % 2}")
    order = CallOrder(column, descending=True)

    whole = calls(order=order)
    first = calls(order=order, limit=3)
    rest = calls(order=order, beyond=position_of(first[-1], order), limit=3)

    assert first + rest == whole
    values = [getattr(call, column) for call in whole]
    assert values == sorted(values, reverse=True)


def test_filters_add_up(tenant):
    wanted = answered(model="dear", key_id=OTHER_KEY).call["id"]
    answered(model="dear")
    answered(key_id=OTHER_KEY)
    refused(model="dear", key_id=OTHER_KEY)
    answered(NOW - hours(30), model="dear", key_id=OTHER_KEY)

    found = calls(
        CallFilter(
            model="dear", key_id=OTHER_KEY, outcome="ok", starts_at=NOW - hours(1), ends_at=NOW + hours(1)
        )
    )

    assert [call.id for call in found] == [wanted]


def test_a_position_survives_being_written_down(tenant):
    answered()
    (call,) = calls()

    assert parse_position("started_at", call.started_at.isoformat(), str(call.id)) == position_of(call)
    assert parse_position("price", str(call.price), str(call.id)).value == call.price
    with pytest.raises(ValueError, match="Invalid isoformat"):
        parse_position("started_at", "yesterday", str(call.id))


def test_a_call_tells_its_attempts_its_usage_and_why(tenant):
    record = answered(
        store=False,
        explanation={
            "targets": ["azure/gpt-4o-mini", "openai/gpt-4o-mini"],
            "limits": [
                ["tenant.requests_per_minute", "requests", 60, 59],
                ["tenant.spend_per_month", "money", 50 * 10**9, 49 * 10**9],
            ],
            "held": 12_000_000,
            "asked": 4096,
            "granted": 812,
        },
        attempts=2,
    )  # fmt: skip
    record.attempts = [
        attempt(record.call, 1, provider="azure", status=429, outcome="rate_limited", error="answered 429"),
        attempt(record.call, 2, waited_ms=250),
    ]
    store_records([record])

    detail = call_detail(record.call["id"])

    assert [(each.target, each.outcome, each.waited_ms) for each in detail.attempts] == [
        ("azure/gpt-4o-mini", "rate_limited", 0),
        ("openai/gpt-4o-mini", "ok", 250),
    ]
    (used,) = detail.usage
    assert [
        (line.quantity_class, line.quantity, line.price_per_million, line.price) for line in used.lines
    ] == [
        ("input", 1000, Decimal("0.18"), Decimal("0.00018")),
        ("output", 200, Decimal("0.72"), Decimal("0.000144")),
    ]
    assert sum(line.price for line in used.lines) == used.price == detail.call.price
    why = detail.explanation
    assert why.targets == ("azure/gpt-4o-mini", "openai/gpt-4o-mini")
    assert [(limit.name, limit.unit, limit.limit, limit.left) for limit in why.limits] == [
        ("tenant.requests_per_minute", "requests", Decimal(60), Decimal(59)),
        ("tenant.spend_per_month", "money", Decimal(50), Decimal(49)),
    ]
    assert (why.held, why.asked_output_tokens, why.granted_output_tokens) == (Decimal("0.012"), 4096, 812)


def test_what_was_lost_is_told_apart(tenant):
    record = answered(store=False)
    free = [{**each, "price": "0", "price_per_million": "0"} for each in record.events[0]["lines"]]
    record.events.insert(0, event(record.call, free, anomaly="lost:cut"))
    store_records([record])

    detail = call_detail(record.call["id"])

    assert sorted((each.is_lost, each.price) for each in detail.usage) == [
        (False, Decimal("0.000324")),
        (True, Decimal(0)),
    ]


def test_no_type_of_what_is_shown_names_the_operators_cost():
    shown = [
        each
        for each in vars(types).values()
        if isinstance(each, type) and hasattr(each, "__dataclass_fields__")
    ]

    named = {field.name for each in shown for field in fields(each)}

    assert len(shown) > 10
    assert not {
        name for name in named if "cost" in name or "margin" in name or "markup" in name or "raw" in name
    }


def test_another_tenants_call_is_no_call(tenant, globex):
    call_id = answered().call["id"]

    with in_tenant(globex):
        assert calls() == []
        assert not any_calls()
        with pytest.raises(CallNotFound):
            call_detail(call_id)
    with pytest.raises(CallNotFound):
        call_detail(uuid7())
    assert any_calls()


def test_health_tells_failures_from_refusals(tenant):
    for place in range(20):
        answered(NOW - timedelta(minutes=place), duration_ms=(place + 1) * 10)
    answered(outcome="cut", duration_ms=9000)
    answered(outcome="client_gone", duration_ms=9000)
    for _ in range(3):
        refused()
    answered(NOW - hours(25), outcome="failed")

    health = recent_health(NOW + timedelta(seconds=1))

    assert (health.calls, health.refused, health.failed) == (25, 3, 1)
    assert health.error_rate == Decimal(1) / 22
    assert (health.p50_ms, health.p95_ms) == (100, 190)
    assert not health.is_sample


def test_health_of_nobody_is_unknown_not_perfect(tenant):
    health = recent_health(NOW)

    assert (health.calls, health.error_rate, health.p50_ms) == (0, None, None)


def test_keys_are_filtered_by_id(tenant):
    answered()

    assert [call.key_id for call in calls(CallFilter(key_id=KEY))] == [KEY]
    assert calls(CallFilter(key_id=OTHER_KEY)) == []
