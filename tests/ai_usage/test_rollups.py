"""Counting usage: each event once, whatever happens, and again to the bit."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.ai_usage import rollups, selectors
from apps.ai_usage.models import TenantDaily, UsageEvent, UsageHourly, UsagePending
from apps.billing import services
from apps.tenancy.services import in_tenant
from tests.factories import usage
from tests.planes import control_plane

NOW = usage.NOW
DAY = NOW.replace(hour=0, minute=0)


@pytest.fixture
def ledger(acme):
    """The control plane with acme in force."""
    with control_plane(), in_tenant(acme):
        yield acme


def total(model, field="price"):
    return model.objects.aggregate(sum=Sum(field))["sum"] or Decimal(0)


def test_events_of_an_hour_become_one_row_per_class_and_their_days_follow(ledger):
    for minute in (0, 59):
        usage.answered(NOW.replace(minute=minute))

    counted = rollups.count_pending()

    assert len(counted) == 2
    rows = {row.quantity_class: row for row in UsageHourly.objects.all()}
    assert rows["input"].hour == datetime(2026, 11, 24, 14, tzinfo=UTC)
    assert (rows["input"].quantity, rows["input"].events) == (2000, 2)
    assert (rows["input"].cost, rows["input"].price) == (Decimal("0.0003"), Decimal("0.00036"))
    assert (rows["output"].quantity, rows["output"].price) == (400, Decimal("0.000288"))
    [day] = TenantDaily.objects.filter(tenant_id=ledger.id)
    assert (day.day, day.model, day.input_tokens, day.output_tokens) == (DAY.date(), "gpt-4o-mini", 2000, 400)
    assert day.calls == 2
    assert day.price == Decimal("0.000648")
    assert not UsagePending.objects.exists()


def test_counting_again_finds_nothing(ledger):
    usage.answered()
    rollups.count_pending()

    assert rollups.count_pending() == []
    assert total(UsageHourly) == total(UsageEvent)


def test_an_event_on_the_hour_belongs_to_the_hour_that_begins(ledger):
    usage.answered(datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC))
    usage.answered(datetime(2026, 12, 1, tzinfo=UTC))

    rollups.count_pending()

    hours = {row.hour for row in UsageHourly.objects.all()}
    assert hours == {datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 1, 0, tzinfo=UTC)}
    days = TenantDaily.objects.filter(tenant_id=ledger.id).values_list("day", flat=True)
    assert sorted(map(str, days)) == ["2026-11-30", "2026-12-01"]


def test_what_goes_wrong_before_the_commit_leaves_marks_and_sums_as_they_were(ledger):
    usage.answered()

    with pytest.raises(RuntimeError), transaction.atomic():
        rollups.count_pending()
        raise RuntimeError("killed")

    assert UsagePending.objects.count() == 1
    assert not UsageHourly.objects.exists()
    assert len(rollups.count_pending()) == 1


def test_a_mark_without_its_event_is_an_alarm_and_nothing_is_lost_over_it(ledger):
    usage.answered()
    UsagePending.objects.create(event_id=uuid4())

    with pytest.raises(rollups.UsageLost), transaction.atomic():
        rollups.count_pending()

    assert UsagePending.objects.count() == 2


def test_more_events_than_a_batch_are_all_counted(ledger, monkeypatch):
    monkeypatch.setattr(rollups, "BATCH", 3)
    for _ in range(10):
        usage.answered()

    assert len(rollups.count_pending()) == 10
    assert total(UsageHourly) == total(UsageEvent)


def test_the_same_rate_sold_at_two_prices_stays_two_rows(ledger):
    usage.answered(lines=[usage.line("input", 10, "0.18")])
    usage.answered(lines=[usage.line("input", 10, "0.165")])

    rollups.count_pending()

    assert UsageHourly.objects.count() == 2
    assert UsageHourly.objects.values("rate_id").distinct().count() == 1


def test_nothing_of_one_tenant_is_counted_for_another(ledger, globex):
    usage.answered()
    with in_tenant(globex):
        usage.answered(lines=[usage.line("output", 7, "1")])
        assert len(rollups.count_pending()) == 1

    assert len(rollups.count_pending()) == 1
    assert UsageHourly.objects.filter(quantity=7).count() == 0
    assert TenantDaily.objects.get(tenant_id=globex.id).output_tokens == 7


LINES = st.lists(
    st.tuples(
        st.sampled_from(["input", "cache_read", "output", "requests"]),
        st.integers(-(10**6), 10**9),
        st.sampled_from(["0.18", "0.000001", "22.5", "0"]),
    ),
    min_size=0,
    max_size=4,
    unique_by=lambda one: one[0],
)
EVENTS = st.lists(
    st.tuples(st.integers(0, 50 * 3600), st.sampled_from(["gpt-4o-mini", "gpt-4o"]), LINES, st.booleans()),
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_any_order_and_any_batches_of_events_give_the_same_sums_and_rebuilding_repeats_them(
    ledger, events, random
):
    with transaction.atomic():
        point = transaction.savepoint()
        for seconds, model, lines, counts_now in events:
            made = [usage.line(name, quantity, price) for name, quantity, price in lines]
            at = DAY + timedelta(seconds=seconds)
            call = usage.call_row(at, model=model)
            # A correction takes back more than this one event had; its token columns stay at zero.
            consumed = usage.event(call, made, input_tokens=0, output_tokens=0)
            usage.store_records([usage.Record(ledger, call, [], [consumed])])
            if counts_now and random.random() < 0.5:
                rollups.count_pending()
        rollups.count_pending()

        once = selectors.hourly_digest(DAY, DAY + timedelta(days=3))
        days = list(
            TenantDaily.objects.order_by("day", "model").values_list("day", "model", "input_tokens", "price")
        )
        rollups.rebuild(DAY, DAY + timedelta(days=3))

        assert selectors.hourly_digest(DAY, DAY + timedelta(days=3)) == once
        assert (
            list(
                TenantDaily.objects.order_by("day", "model").values_list(
                    "day", "model", "input_tokens", "price"
                )
            )
            == days
        )
        assert total(UsageEvent) == total(UsageHourly) == total(TenantDaily)
        assert total(UsageEvent, "cost") == total(UsageHourly, "cost") == total(TenantDaily, "cost")
        transaction.savepoint_rollback(point)


def test_two_roll_ups_at_once_and_a_writer_between_them_count_everything_once(fresh_tenant):
    tenant = fresh_tenant()
    written, counted, failed = 40, [], []

    def work(job):
        try:
            with control_plane(), in_tenant(tenant):
                job()
        except Exception as error:  # noqa: BLE001  (shown by the assertion below)
            failed.append(error)
        finally:
            connection.close()

    def write():
        for _ in range(written // 2):
            usage.answered()

    def count():
        for _ in range(8):
            counted.append(services.roll_up_tenant(tenant, now=NOW))

    threads = [threading.Thread(target=work, args=(job,)) for job in (write, write, count, count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    with control_plane(), in_tenant(tenant):
        counted.append(services.roll_up_tenant(tenant, now=NOW))
        assert sum(counted) == UsageEvent.objects.count() == written
        assert total(UsageEvent) == total(UsageHourly)
        assert UsageHourly.objects.aggregate(sum=Sum("events"))["sum"] == written
