"""Sums of usage equal the ledger to the last digit, whether a roll-up has counted the events or not."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db.models import Sum

from apps.ai_usage.errors import InvalidPeriod
from apps.ai_usage.insight.types import Consumed, Grouping, Period, UsageFilter
from apps.ai_usage.insight.usage import usage
from apps.ai_usage.models import UsageEvent, UsagePending
from apps.tenancy.services import in_tenant
from tests.factories.usage import (
    KEY,
    NOW,
    OWNER,
    answered,
    event,
    hours,
    line,
    refused,
    roll_up,
    store_records,
)

TODAY = Period(datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC))
OTHER_KEY = UUID("01938c5e-7b1f-7d3a-9c55-0d2f1c7e9a11")


def test_events_that_no_rollup_counted_are_in_the_sum(tenant):
    answered()

    total = usage(TODAY).total("USD")

    assert total.price == Decimal("0.000324")
    assert total.quantities == {"input": 1000, "output": 200}
    assert total.calls == 1


def test_counting_the_events_changes_no_sum(tenant):
    answered()
    answered(
        NOW - hours(3),
        [line("input", 7, "0.000001"), line("cache_read", 11, "0.09"), line("output", 3, "0.72")],
    )
    before = usage(TODAY, group_by=[Grouping.HOUR, Grouping.MODEL])

    assert roll_up() == 2
    after = usage(TODAY, group_by=[Grouping.HOUR, Grouping.MODEL])

    assert UsagePending.objects.count() == 0
    assert after == before
    assert after.total("USD").price == Decimal("0.000327150007")
    assert after.total("USD").calls == 2


def test_half_counted_and_half_waiting_is_still_the_whole(tenant):
    answered()
    roll_up()
    answered(key_id=OTHER_KEY)

    report = usage(TODAY, group_by=[Grouping.KEY])

    assert [(row.group["key"], row.consumed.price) for row in report.rows] == [
        (KEY, Decimal("0.000324")),
        (OTHER_KEY, Decimal("0.000324")),
    ]
    assert report.total("USD").price == UsageEvent.objects.aggregate(sum=Sum("price"))["sum"]


def test_rows_come_dearest_first_and_their_sum_is_the_total(tenant):
    answered(model="cheap")
    answered(model="dear", lines=[line("output", 1_000_000, "60")])

    report = usage(TODAY, group_by=[Grouping.MODEL])

    assert [(row.group["model"], row.consumed.price) for row in report.rows] == [
        ("dear", Decimal(60)),
        ("cheap", Decimal("0.000324")),
    ]
    assert report.totals == (
        Consumed("USD", Decimal("60.000324"), {"output": 1_000_200, "input": 1000}, calls=2),
    )


@pytest.mark.parametrize("counted", [False, True])
def test_groups_beyond_the_dearest_are_one_row_and_nothing_is_missing(tenant, counted):
    for place in range(5):
        answered(model=f"model-{place}", lines=[line("output", 1000 * (place + 1), "1")])
    if counted:
        roll_up()

    report = usage(TODAY, group_by=[Grouping.DAY, Grouping.MODEL], most_groups=2)

    assert [
        (row.group["model"], row.is_rest, row.consumed.price, row.consumed.calls) for row in report.rows
    ] == [
        ("model-4", False, Decimal("0.005"), 1),
        ("model-3", False, Decimal("0.004"), 1),
        (None, True, Decimal("0.006"), 3),
    ]
    assert report.total("USD").price == Decimal("0.015")


def test_a_day_has_its_hours_and_a_month_its_days(tenant):
    answered(datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC))
    answered(datetime(2026, 11, 1, tzinfo=UTC))
    answered()
    autumn = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))

    days = usage(autumn, group_by=[Grouping.DAY])
    months = usage(autumn, group_by=[Grouping.MONTH])

    assert [row.group["day"] for row in days.rows] == [
        datetime(2026, 10, 31, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 24, tzinfo=UTC),
    ]
    assert [(row.group["month"].month, row.consumed.calls) for row in months.rows] == [(10, 1), (11, 2)]


def test_the_end_of_a_period_is_not_part_of_it(tenant):
    answered(TODAY.ends_at)
    answered(TODAY.starts_at)

    assert usage(TODAY).total("USD").calls == 1


def test_filters_narrow_both_halves_alike(tenant):
    answered()
    answered(key_id=OTHER_KEY, model="other")
    roll_up()
    answered(key_id=OTHER_KEY, model="other", owner_id=OTHER_KEY)

    assert usage(TODAY, only=UsageFilter(key_id=OTHER_KEY)).total("USD").calls == 2
    assert usage(TODAY, only=UsageFilter(model="gpt-4o-mini")).total("USD").calls == 1
    assert usage(TODAY, only=UsageFilter(owner_id=OWNER, model="other")).total("USD").calls == 1


def test_classes_are_disjoint_and_add_up(tenant):
    answered(lines=[line("input", 10, "1"), line("cache_read", 20, "0.5"), line("output", 5, "2")])

    report = usage(TODAY, group_by=[Grouping.CLASS])

    assert {row.group["class"]: (row.consumed.quantities, row.consumed.price) for row in report.rows} == {
        "input": ({"input": 10}, Decimal("0.00001")),
        "cache_read": ({"cache_read": 20}, Decimal("0.00001")),
        "output": ({"output": 5}, Decimal("0.00001")),
    }
    total = report.total("USD")
    assert (total.input_tokens, total.cached_tokens, total.output_tokens) == (30, 20, 5)


def test_a_correction_lowers_the_sum_and_counts_no_call(tenant):
    record = answered()
    wrong = record.events[0]
    back = [line("output", -50, "0.72")]
    record.events = [event(record.call, back, kind="correction", corrects=wrong["id"])]
    record.events[0] |= {"input_tokens": 0, "output_tokens": 0}
    store_records([record])

    total = usage(TODAY).total("USD")

    assert total.price == Decimal("0.000288")
    assert total.quantities == {"input": 1000, "output": 150}
    assert total.calls == 1


@pytest.mark.parametrize("counted", [False, True])
def test_an_answer_that_was_lost_is_consumed_at_no_price_and_counts_no_call(tenant, counted):
    record = answered(store=False)
    free = [{**each, "price": "0", "price_per_million": "0"} for each in record.events[0]["lines"]]
    record.events.append(event(record.call, free, anomaly="lost:cut"))
    store_records([record])
    if counted:
        roll_up()

    total = usage(TODAY).total("USD")

    assert (total.price, total.calls, total.quantities["input"]) == (Decimal("0.000324"), 1, 2000)


def test_currencies_are_never_added_up(tenant):
    answered()
    answered(currency="EUR")

    report = usage(TODAY, group_by=[Grouping.MODEL])

    assert [(total.currency, total.price) for total in report.totals] == [
        ("EUR", Decimal("0.000324")),
        ("USD", Decimal("0.000324")),
    ]


def test_a_refused_call_consumed_nothing(tenant):
    refused()

    assert usage(TODAY).totals == ()
    assert usage(TODAY).total("USD") == Consumed("USD")


def test_another_tenant_has_usage_of_its_own(tenant, globex):
    answered()

    with in_tenant(globex):
        assert usage(TODAY).rows == ()


def test_sums_of_amounts_of_thirty_digits_stay_exact(tenant):
    answered(lines=[line("output", 9_000_000_000_000_000_000, "999999999999.999999", cost_per_million="0")])
    answered(lines=[line("output", 1, "0.000001", cost_per_million="0")])

    total = usage(TODAY).total("USD")

    assert total.price == Decimal("8999999999999999991000000.000000000001")


def test_moments_between_hours_are_refused(tenant):
    with pytest.raises(InvalidPeriod):
        Period(NOW, TODAY.ends_at)
    with pytest.raises(InvalidPeriod):
        Period(TODAY.ends_at, TODAY.starts_at)


def test_a_year_by_the_hour_is_refused(tenant):
    year = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))

    with pytest.raises(InvalidPeriod):
        usage(year, group_by=[Grouping.HOUR])
