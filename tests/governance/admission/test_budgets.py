"""Money limits: what fits is let in, to the nano-unit, and what was held comes back."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.errors import LeaseInUse
from apps.governance.admission.types import (
    DAY,
    MONTH,
    TOTAL,
    RefusedBecause,
    SettleStatus,
    Window,
    budget,
    request_rate,
)
from tests.governance.admission.tenant import Tenant


async def test_a_thousand_asks_at_once_on_room_for_fifty_admit_exactly_fifty(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 50_000, MONTH))

    answers = await asyncio.gather(*(tenant.ask(engine, limits, input_nano=1_000) for _ in range(1_000)))

    admitted = [answer for answer in answers if isinstance(answer, Admitted)]
    assert len(admitted) == 50
    assert tenant.counter(admitted[0].compiled.budgets[0]) == (0, 50_000)
    assert tenant.ledger.reads == 1


async def test_settling_gives_back_the_hold_and_counts_the_real_amount_once(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_day", 10_000, DAY))
    call = await tenant.admitted(engine, limits, input_nano=9_000)

    first = await tenant.finish(engine, call, 2_500)
    second = await engine.settle(call, 2_500)

    assert (first.status, second.status) == (SettleStatus.SETTLED, SettleStatus.ALREADY)
    assert tenant.counter(call.compiled.budgets[0]) == (2_500, 0)


async def test_releasing_gives_back_everything_and_costs_nothing(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_day", 10_000, DAY))
    call = await tenant.admitted(engine, limits, input_nano=9_000)

    released = await engine.release(call)

    assert released.status is SettleStatus.SETTLED
    assert tenant.counter(call.compiled.budgets[0]) == (0, 0)
    assert engine.counters().open_leases == 0


async def test_a_refusal_by_one_level_holds_nothing_on_any(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(
        budget("key.spend_per_day", 500, DAY, subject="k1"),
        budget("owner.spend_per_day", 5_000, DAY, subject="o1"),
        budget("tenant.spend_per_month", 50_000, MONTH),
        request_rate("tenant.requests_per_minute", 10),
        owner="o1",
        key="k1",
    )
    small = await tenant.admitted(engine, limits, input_nano=400)

    refused = await tenant.refused(engine, limits, input_nano=101)

    assert (refused.limit.name, refused.remaining) == ("key.spend_per_day", 100)
    assert [tenant.counter(window) for window in small.compiled.budgets] == [(0, 400), (0, 400), (0, 400)]
    assert (await tenant.admitted(engine, limits, input_nano=100)).requests.remaining == 8


async def test_children_of_a_key_spend_from_its_budget_with_it(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    own = tenant.limits(budget("key.spend_per_day", 1_000, DAY, subject="p"), key="p")
    of_children = [
        tenant.limits(
            budget("parent.spend_per_day", 1_000, DAY, subject="p"),
            budget("key.spend_per_day", 400, DAY, subject=child),
            parent="p",
            key=child,
        )
        for child in ("c1", "c2")
    ]
    calls = [await tenant.admitted(engine, limits, input_nano=400) for limits in of_children]

    refused = await tenant.refused(engine, own, input_nano=201)
    await tenant.admitted(engine, own, input_nano=200)
    by_parent = await tenant.refused(engine, of_children[0], input_nano=1)
    await engine.release(calls[1])
    by_itself = await tenant.refused(engine, of_children[0], input_nano=1)

    assert (refused.limit.name, refused.remaining) == ("key.spend_per_day", 200)
    assert (by_parent.limit.name, by_parent.remaining) == ("parent.spend_per_day", 0)
    assert (by_itself.limit.name, by_itself.remaining) == ("key.spend_per_day", 0)


async def test_a_refusal_names_what_remains_and_when_the_window_ends(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_day", 2_500_000_000, DAY))
    tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)

    refused = await tenant.refused(engine, limits, input_nano=2_500_000_001)

    assert refused.code is RefusedBecause.BUDGET
    assert (refused.remaining, refused.reset_at) == (2_500_000_000, tomorrow.timestamp())
    assert refused.retry_after is not None
    assert 0 < refused.retry_after <= 86_400
    assert refused.message.startswith("The budget tenant.spend_per_day of 2.5 has 2.5 left")


async def test_of_several_refusing_limits_the_one_that_lasts_longest_is_named(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_hour", 10, Window.every(3600)),
        budget("owner.spend_in_total", 10, TOTAL, subject="o"),
        budget("key.spend_per_day", 10, DAY, subject="k"),
        owner="o",
        key="k",
    )

    refused = await tenant.refused(engine, limits, input_nano=11)

    assert (refused.limit.name, refused.reset_at, refused.retry_after) == ("owner.spend_in_total", None, None)


async def test_a_free_call_is_let_through_an_exhausted_budget(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 0, MONTH))

    call = await tenant.admitted(engine, limits)

    assert call.hold_nano == 0
    assert (await tenant.refused(engine, limits, input_nano=1)).limit.name == "tenant.spend_per_month"


async def test_amounts_beyond_what_fourteen_digits_hold_stay_exact(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 9_007_199_254_740_991, MONTH))
    call = await tenant.admitted(engine, limits, input_nano=9_000_000_000_000_001)
    other = await tenant.admitted(engine, limits, input_nano=7_199_254_740_990)

    await tenant.finish(engine, call, 8_999_999_999_999_999)

    assert (await tenant.refused(engine, limits, input_nano=3)).remaining == 2
    assert tenant.counter(other.compiled.budgets[0]) == (8_999_999_999_999_999, 7_199_254_740_990)


async def test_output_is_clamped_to_the_most_that_fits_every_budget(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_month", 1_000_000, MONTH),
        budget("key.spend_per_day", 10_000, DAY, subject="k"),
        key="k",
    )

    call = await tenant.admitted(
        engine, limits, input_nano=1_000, output_tokens=4_096, output_price_pico=600_500, min_output_tokens=1
    )

    # 9,000 / 600.5 = 14.98: fourteen tokens cost 8,407 nano exactly.
    assert (call.granted_output_tokens, call.hold_nano, call.is_clamped) == (14, 9_407, True)
    assert [tenant.counter(window) for window in call.compiled.budgets] == [(0, 9_407), (0, 9_407)]


async def test_a_clamp_rounds_the_hold_up_and_never_beyond_the_budget(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 100, MONTH))

    call = await tenant.admitted(
        engine, limits, input_nano=50, output_tokens=1_000, output_price_pico=333, min_output_tokens=0
    )

    assert (call.granted_output_tokens, call.hold_nano) == (150, 100)
    assert (await tenant.refused(engine, limits, input_nano=1)).remaining == 0


async def test_output_that_would_have_to_go_below_the_floor_is_refused(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 10_000, MONTH))
    words = {"input_nano": 1_000, "output_tokens": 4_096, "output_price_pico": 1_000_000}

    refused = await tenant.refused(engine, limits, **words, min_output_tokens=10)
    clamped = await tenant.admitted(engine, limits, **words, min_output_tokens=9)

    assert refused.remaining == 10_000
    assert (clamped.granted_output_tokens, clamped.hold_nano) == (9, 10_000)


async def test_a_bound_that_fits_is_not_clamped(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 10_000, MONTH))

    call = await tenant.admitted(
        engine, limits, output_tokens=10, output_price_pico=1_000_000, min_output_tokens=1
    )

    assert (call.granted_output_tokens, call.hold_nano, call.is_clamped) == (10, 10_000, False)


async def test_a_budget_may_hold_the_estimate_beside_one_that_holds_the_bound(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_month", 10_000, MONTH),
        budget("key.spend_per_day", 1_000, DAY, subject="k", reserve_estimate=True),
        key="k",
    )

    call = await tenant.admitted(engine, limits, input_nano=4_000, estimate_nano=600)

    assert [tenant.counter(window) for window in call.compiled.budgets] == [(0, 4_000), (0, 600)]
    assert (await tenant.refused(engine, limits, input_nano=500, estimate_nano=401)).remaining == 400
    await tenant.finish(engine, call, 700)
    assert [tenant.counter(window) for window in call.compiled.budgets] == [(700, 0), (700, 0)]


async def test_a_soft_budget_reports_and_never_refuses(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 1_000, MONTH, soft=True))

    within = await tenant.admitted(engine, limits, input_nano=1_000)
    beyond = await tenant.admitted(engine, limits, input_nano=1)

    assert within.shadow_refusals == ()
    assert beyond.shadow_refusals == limits.limits
    await tenant.finish(engine, within, 900)
    await tenant.finish(engine, beyond, 300)
    assert tenant.counter(within.compiled.budgets[0]) == (1_200, 0)


async def test_an_alert_is_told_once_when_spending_crosses_it_and_shown_afterwards(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 1_000, MONTH, alerts=(80, 50)))
    calls = [await tenant.admitted(engine, limits, input_nano=300) for _ in range(3)]

    crossed = [[alert.percent for alert in (await tenant.finish(engine, call, 290)).alerts] for call in calls]
    later = await tenant.admitted(engine, limits)

    assert crossed == [[], [50], [80]]
    assert [(alert.percent, alert.spent_nano) for alert in later.alerts] == [(50, 870), (80, 870)]
    assert calls[0].alerts == ()


async def test_a_call_id_is_admitted_once(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 1_000, MONTH))
    call = await tenant.admitted(engine, limits, call_id="same", input_nano=100)

    with pytest.raises(LeaseInUse):
        await tenant.ask(engine, limits, call_id="same", input_nano=100)

    assert tenant.counter(call.compiled.budgets[0]) == (0, 100)
    await tenant.finish(engine, call, 60)
    with pytest.raises(LeaseInUse):
        await tenant.ask(engine, limits, call_id="same", input_nano=100)
    assert tenant.counter(call.compiled.budgets[0]) == (60, 0)


async def test_what_a_provider_charges_beyond_the_hold_is_counted(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 1_000, MONTH))
    call = await tenant.admitted(engine, limits, input_nano=1_000)

    await tenant.finish(engine, call, 1_500)

    assert tenant.counter(call.compiled.budgets[0]) == (1_500, 0)
    assert (await tenant.refused(engine, limits, input_nano=1)).remaining == 0


async def test_two_tenants_with_the_same_keys_and_calls_do_not_meet(
    engine: AdmissionEngine, make_tenant: Callable[[], Tenant]
) -> None:
    one, other = make_tenant(), make_tenant()
    limit = budget("key.spend_per_day", 1_000, DAY, subject="k")

    first = await one.admitted(engine, one.limits(limit, key="k"), call_id="same", input_nano=1_000)
    second = await other.admitted(engine, other.limits(limit, key="k"), call_id="same", input_nano=600)
    await one.finish(engine, first, 1_000)

    assert one.counter(first.compiled.budgets[0]) == (1_000, 0)
    assert other.counter(second.compiled.budgets[0]) == (0, 600)
    assert (await other.refused(engine, other.limits(limit, key="k"), input_nano=401)).remaining == 400


@pytest.mark.parametrize(
    "words",
    [
        {"input_nano": -1},
        {"input_nano": 2**53},
        {"output_tokens": 10**9, "output_price_pico": 10**8},
        {"tokens": -5},
        {"estimate_nano": -1},
        {"lease_ms": 0},
        {"lease_ms": 3_600_001},
        {"call_id": ""},
        {"min_output_tokens": -1},
    ],
)
def test_an_ask_outside_of_what_can_be_counted_exactly_is_a_mistake(
    tenant: Tenant, words: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Ask(**{"call_id": "c", "limits": tenant.limits(), "epoch": 1, **words})


@pytest.mark.parametrize(
    "make",
    [
        lambda: budget("tenant.spend_per_day", 2**53, DAY),
        lambda: budget("key.spend_per_day", 1, DAY),
        lambda: budget("tenant.spend_per_day", 1, DAY, subject="k"),
        lambda: request_rate("tenant.requests", 10**12, period_ms=86_400_000),
        lambda: request_rate("tenant.requests", 1, period_ms=0),
        lambda: Window.every(0),
    ],
)
def test_a_limit_that_cannot_be_counted_exactly_is_a_mistake(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


def test_limits_of_another_subject_are_a_mistake(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="are the limits of 'k2'"):
        tenant.limits(budget("key.spend_per_day", 1, DAY, subject="k1"), key="k2")
