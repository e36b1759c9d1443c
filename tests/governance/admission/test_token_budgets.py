"""Budgets in tokens: held by the full bound, clamped like money, settled by what was used, re-seeded."""

import asyncio

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.types import DAY, MONTH, RefusedBecause, Spent, Used, budget
from tests.governance.admission.tenant import Tenant

DAILY = budget("tenant.token_budget_per_day", 1_000, DAY)


async def test_fifty_at_once_on_room_for_one_admit_exactly_one(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(DAILY)

    answers = await asyncio.gather(
        *(tenant.ask(engine, limits, input_tokens=400, output_tokens=600) for _ in range(50))
    )

    admitted = [answer for answer in answers if isinstance(answer, Admitted)]
    assert len(admitted) == 1
    assert tenant.counter(admitted[0].compiled.budgets[0]) == (0, 1_000)


async def test_a_settlement_counts_tokens_here_and_money_there(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(DAILY, budget("tenant.budget_per_day", 10_000, DAY))
    call = await tenant.admitted(engine, limits, input_nano=5_000, input_tokens=300, output_tokens=200)
    assert [(spent, reserved) for _, spent, reserved in call.budgets()] == [(0, 500), (0, 5_000)]

    await tenant.finish(engine, call, 1_234, 321)

    in_tokens, in_money = call.compiled.budgets
    assert (tenant.counter(in_tokens), tenant.counter(in_money)) == ((321, 0), (1_234, 0))


async def test_output_is_clamped_to_the_tokens_that_are_left(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(DAILY)

    call = await tenant.admitted(
        engine, limits, input_tokens=900, output_tokens=5_000, output_price_pico=600_000, min_output_tokens=64
    )

    assert call.granted_output_tokens == 100
    assert tenant.counter(call.compiled.budgets[0]) == (0, 1_000)


async def test_the_tighter_of_money_and_tokens_clamps(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(DAILY, budget("tenant.budget_per_day", 60_000, DAY))

    call = await tenant.admitted(
        engine, limits, input_tokens=100, output_tokens=5_000, output_price_pico=600_000, min_output_tokens=10
    )

    assert call.granted_output_tokens == 100  # 60,000 nano-units at 600 a token; tokens alone would allow 900


async def test_a_refusal_names_the_budget_with_what_is_left_of_it(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(DAILY)
    call = await tenant.admitted(engine, limits, input_tokens=700)
    await tenant.finish(engine, call, 1, 700)

    refused = await tenant.refused(engine, limits, input_tokens=301)

    assert (refused.code, refused.limit.name, refused.remaining) == (
        RefusedBecause.BUDGET,
        "tenant.token_budget_per_day",
        300,
    )
    assert "of 1000 tokens has 300 left" in refused.message


async def test_counters_that_were_lost_are_read_from_the_ledger_in_tokens(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(DAILY)

    async def told(budgets, open_calls):
        return Spent({window.counter: 900 for window in budgets})

    tenant.spent = told  # type: ignore[method-assign]

    refused = await tenant.refused(engine, limits, input_tokens=101)
    call = await tenant.admitted(engine, limits, input_tokens=100)

    assert refused.remaining == 100
    assert tenant.counter(call.compiled.budgets[0]) == (900, 100)


async def test_a_seed_that_has_an_open_call_already_counts_it_once(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(DAILY)
    call = await tenant.admitted(engine, limits, input_tokens=400)
    window = call.compiled.budgets[0]
    await engine.invalidate_budgets(tenant.id, [window.counter])

    async def told(budgets, open_calls):
        committed = {call.call_id: Used(7, 350)} if call.call_id in open_calls else {}
        return Spent({each.counter: 350 for each in budgets}, committed)

    tenant.spent = told  # type: ignore[method-assign]
    other = await tenant.admitted(engine, limits, input_tokens=600)
    assert tenant.counter(window) == (350, 650)

    await engine.settle(call, 7, 350)
    await engine.release(other)

    assert tenant.counter(window) == (350, 0)


async def test_the_lease_of_a_dead_owner_ends_with_the_tokens_of_the_ledger(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(DAILY, budget("tenant.budget_per_month", 10_000, MONTH))
    call = await tenant.admitted(engine, limits, input_nano=100, input_tokens=400)

    await engine.resolve(tenant.id, call.call_id, Used(42, 123))

    assert [tenant.counter(window) for window in call.compiled.budgets] == [(123, 0), (42, 0)]


async def test_a_budget_in_shadow_lets_through_and_says_so(engine: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(
        budget("tenant.token_shadow_budget_per_day", 100, DAY, soft=True),
        budget("tenant.token_alert_per_day", 100, DAY, soft=True),
    )

    call = await tenant.admitted(engine, limits, input_tokens=101)

    assert call.would_have_refused == ("tenant.token_shadow_budget_per_day",)
