"""Counters come from the ledger whenever Valkey lacks them; then no amount is missing or counted twice."""

import asyncio

import pytest

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import (
    DAY,
    MONTH,
    TOTAL,
    SettleStatus,
    Window,
    budget,
)
from tests.governance.admission.conftest import Clock, MakeEngine, Server
from tests.governance.admission.tenant import Tenant


@pytest.fixture
async def timed(shared_server: Server, make_engine: MakeEngine, clock: Clock) -> AdmissionEngine:
    return await make_engine(shared_server, clock=clock.now, resolve_in_background=False)


def monthly(tenant: Tenant, amount: int = 1_000) -> LimitSet:
    return tenant.limits(budget("tenant.spend_per_month", amount, MONTH))


def commit_old(tenant: Tenant, amount: int, at: int, key: str = "") -> None:
    tenant.ledger.commit(tenant.id.hex, f"old-{amount}", amount, at, key=key)


async def test_a_new_counter_starts_from_what_the_ledger_has_in_its_window(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    window = Window.every(600)
    _, start, _ = window.bounds(clock.now())
    commit_old(tenant, 100, start - 1, "k")
    commit_old(tenant, 250, start, "k")
    commit_old(tenant, 50, start, "other")
    limits = tenant.limits(
        budget("tenant.spend_per_window", 1_000, window),
        budget("tenant.spend_in_total", 1_000, TOTAL),
        budget("key.spend_per_window", 1_000, window, subject="k"),
        key="k",
    )

    call = await tenant.admitted(timed, limits, input_nano=600)

    assert [tenant.counter(each) for each in call.compiled.budgets] == [(300, 600), (400, 600), (250, 600)]
    assert tenant.ledger.reads == 1


async def test_a_new_window_starts_afresh_and_old_calls_settle_in_theirs(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_window", 1_000, Window.every(600)))
    old = await tenant.admitted(timed, limits, input_nano=1_000)
    clock.advance(600_000)

    new = await tenant.admitted(timed, limits, input_nano=900)
    await tenant.finish(timed, old, 700)
    await tenant.finish(timed, new, 800)

    assert tenant.counter(old.compiled.budgets[0]) == (700, 0)
    assert tenant.counter(new.compiled.budgets[0]) == (800, 0)
    assert tenant.ledger.total(tenant.id.hex, new.compiled.budgets[0]) == 800


async def test_a_process_whose_clock_is_in_another_window_uses_valkeys(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant, clock: Clock
) -> None:
    engine = await make_engine(shared_server)
    limits = tenant.limits(budget("tenant.spend_per_window", 1_000, Window.every(3_600)))
    engine._clock.learn(clock.now() - 86_400_000)

    call = await tenant.admitted(engine, limits, input_nano=1)

    window = call.compiled.budgets[0]
    assert window.start_ms <= call.admitted_at_ms < window.end_ms


async def test_reservations_survive_the_loss_of_one_counter(timed: AdmissionEngine, tenant: Tenant) -> None:
    limits = monthly(tenant)
    calls = [await tenant.admitted(timed, limits, input_nano=200) for _ in range(3)]
    await tenant.finish(timed, calls[0], 150)

    await timed.invalidate_budgets(tenant.id, calls[0].compiled.counters)
    refused = await tenant.refused(timed, limits, input_nano=451)

    assert refused.remaining == 450
    assert tenant.counter(calls[0].compiled.budgets[0]) == (150, 400)


async def test_a_committed_call_that_is_still_open_is_not_counted_twice(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=600)
    tenant.commit(call, 400)
    await timed.invalidate_budgets(tenant.id, call.compiled.counters)

    other = await tenant.admitted(timed, limits, input_nano=400)
    seeded = tenant.counter(call.compiled.budgets[0])
    await timed.settle(call, 400)

    # 400 of the 600 are spent, and what was held beyond them is still held until the end.
    assert seeded == (400, 200 + 400)
    assert tenant.counter(other.compiled.budgets[0]) == (400, 400)


async def test_a_call_with_one_event_committed_and_another_to_come_ends_at_their_sum(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=600)
    tenant.commit(call, 100)
    await timed.invalidate_budgets(tenant.id, call.compiled.counters)
    await tenant.admitted(timed, limits)

    tenant.commit(call, 250)
    await timed.settle(call, 350)

    assert tenant.counter(call.compiled.budgets[0]) == (350, 0)


async def test_counters_seeded_twice_over_an_open_committed_call_stay_right(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=600)
    for amount in (100, 50):
        tenant.commit(call, amount)
        await timed.invalidate_budgets(tenant.id, call.compiled.counters)
        await tenant.admitted(timed, limits)
    seeded = tenant.counter(call.compiled.budgets[0])

    await timed.settle(call, 150)

    assert seeded == (150, 450)
    assert tenant.counter(call.compiled.budgets[0]) == (150, 0)


@pytest.mark.parametrize(
    ("committed", "settled"), [("before", "before"), ("before", "after"), ("after", "after")]
)
async def test_a_call_that_settles_during_a_seeding_is_counted_once(
    timed: AdmissionEngine, tenant: Tenant, committed: str, settled: str
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=600)
    still_open = await tenant.admitted(timed, limits, input_nano=300)
    await timed.invalidate_budgets(tenant.id, call.compiled.counters)

    async def step(when: str) -> None:
        if committed == when:
            tenant.commit(call, 400)
        if settled == when:
            assert (await timed.settle(call, 400)).status is SettleStatus.SETTLED

    tenant.before_read = lambda: step("before")
    tenant.after_read = lambda: step("after")
    await tenant.admitted(timed, limits)

    assert tenant.counter(still_open.compiled.budgets[0]) == (400, 300)


async def test_a_settlement_of_an_unknown_lease_during_a_seeding_makes_it_read_again(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=600)
    tenant.valkey.delete(f"lockstep:{{{tenant.id.hex}}}:l:{call.call_id}")
    await timed.invalidate_budgets(tenant.id, call.compiled.counters)
    steps = iter([tenant.finish(timed, call, 400)])

    async def finish_once() -> None:
        for step in steps:
            await step

    tenant.after_read = finish_once
    await tenant.admitted(timed, limits)

    assert tenant.counter(call.compiled.budgets[0])[0] == 400
    assert tenant.ledger.reads == 3


async def test_two_engines_that_seed_at_once_agree(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant, clock: Clock
) -> None:
    engines = [await make_engine(shared_server, clock=clock.now) for _ in range(2)]
    limits = monthly(tenant)
    commit_old(tenant, 300, clock.now())
    tenant.read_delay = 0.02

    answers = await asyncio.gather(*(tenant.ask(engines[i % 2], limits, input_nano=100) for i in range(40)))

    admitted = [answer for answer in answers if isinstance(answer, Admitted)]
    assert len(admitted) == 7
    assert tenant.counter(admitted[0].compiled.budgets[0]) == (300, 700)
    assert tenant.ledger.reads == 2


async def test_calls_that_settle_while_two_engines_seed_are_counted_once(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant, clock: Clock
) -> None:
    engines = [await make_engine(shared_server, clock=clock.now) for _ in range(2)]
    limits = monthly(tenant, 1_000_000)
    calls = [await tenant.admitted(engines[i % 2], limits, input_nano=100) for i in range(40)]
    tenant.read_delay = 0.005

    async def finish(number: int) -> None:
        await asyncio.sleep(number * 0.001)
        await tenant.finish(engines[number % 2], calls[number], 10 + number)

    async def disturb() -> None:
        for number in range(20):
            await engines[0].invalidate_budgets(tenant.id, calls[0].compiled.counters)
            await asyncio.sleep(0.002)
            await tenant.ask(engines[number % 2], limits)

    await asyncio.gather(disturb(), *(finish(number) for number in range(40)))
    last = await tenant.admitted(engines[0], limits)

    assert tenant.counter(last.compiled.budgets[0]) == (sum(range(10, 50)), 0)


async def test_a_budget_set_up_while_a_call_is_under_way_counts_it_at_its_end(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    before = tenant.limits(key="k")
    after = tenant.limits(
        budget("tenant.spend_per_month", 1_000, MONTH),
        budget("key.spend_per_day", 1_000, DAY, subject="k"),
        key="k",
    )
    early = await tenant.admitted(timed, before, input_nano=500)
    clock.advance(10)
    late = await tenant.admitted(timed, after, input_nano=100)

    await tenant.finish(timed, early, 400)
    refused = await tenant.refused(timed, after, input_nano=501)

    assert refused.remaining == 500
    assert [tenant.counter(window) for window in late.compiled.budgets] == [(400, 100), (400, 100)]


async def test_a_counter_from_before_its_limit_was_in_force_is_not_trusted(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limited = monthly(tenant)
    first = await tenant.admitted(timed, limited, input_nano=100)
    # Spent by other ways than admission, so that nothing told the counter.
    commit_old(tenant, 700, clock.now())
    clock.advance(1_000)

    again = tenant.limits(budget("tenant.spend_per_month", 1_000, MONTH, since_ms=clock.now()))
    refused = await tenant.refused(timed, again, input_nano=201)

    assert refused.remaining == 200
    assert tenant.counter(first.compiled.budgets[0]) == (700, 100)
    await tenant.refused(timed, again, input_nano=201)
    assert tenant.ledger.reads == 2


async def test_what_is_spent_while_a_budget_is_lifted_counts_when_it_is_back(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limited = tenant.limits(
        budget("tenant.spend_per_month", 1_000, MONTH),
        budget("key.spend_per_day", 1_000, DAY, subject="k"),
        key="k",
    )
    of_other_key = tenant.limits(budget("tenant.spend_per_month", 1_000, MONTH), key="other")
    first = await tenant.admitted(timed, limited, input_nano=100)
    lifted = tenant.limits(key="k")
    await tenant.finish(timed, await tenant.admitted(timed, of_other_key, input_nano=50), 50)
    unharmed = tenant.ledger.reads
    await tenant.finish(timed, await tenant.admitted(timed, lifted, input_nano=700), 700)

    refused = await tenant.refused(timed, limited, input_nano=251)

    assert (refused.limit.name, refused.remaining) == ("tenant.spend_per_month", 150)
    assert [tenant.counter(window) for window in first.compiled.budgets] == [(750, 100), (700, 100)]
    assert (unharmed, tenant.ledger.reads) == (1, 2)


async def test_a_ledger_that_cannot_be_read_admits_nobody_and_is_asked_again(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)

    async def broken() -> None:
        raise ConnectionError("the ledger is away")

    tenant.before_read = broken
    with pytest.raises(ConnectionError, match="the ledger is away"):
        await tenant.ask(timed, limits, input_nano=1)
    tenant.before_read = tenant.after_read
    call = await tenant.admitted(timed, limits, input_nano=1_000)

    assert tenant.counter(call.compiled.budgets[0]) == (0, 1_000)


async def test_a_caller_who_hangs_up_does_not_take_the_seeding_from_the_others(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    tenant.read_delay = 0.03
    tasks = [asyncio.create_task(tenant.ask(timed, limits, input_nano=100)) for _ in range(5)]
    await asyncio.sleep(0.01)

    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert sum(isinstance(answer, Admitted) for answer in answers) == 4
    assert tenant.ledger.reads == 1


async def test_late_events_are_counted_without_knowing_the_limits(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_month", 1_000, MONTH),
        budget("key.spend_per_day", 1_000, DAY, subject="k"),
        budget("key.other_per_day", 1_000, DAY, subject="k"),
        key="k",
    )
    await tenant.finish(timed, await tenant.admitted(timed, limits, input_nano=100), 100)
    commit_old(tenant, 700, clock.now(), "k")

    await timed.forget_budgets(tenant.id, ["t", "k:k", "o:nobody"])
    call = await tenant.admitted(timed, limits, input_nano=200)

    assert [tenant.counter(each) for each in call.compiled.budgets] == [(800, 200)] * 3
    assert not isinstance(await tenant.ask(timed, limits, input_nano=1), Admitted)


async def test_late_events_reach_a_counter_whose_seeding_had_read_the_ledger_already(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)

    async def an_event_comes_late() -> None:
        if not tenant.ledger.amounts(tenant.id.hex, ["old-700"]):
            commit_old(tenant, 700, clock.now())
            await timed.forget_budgets(tenant.id, ["t"])

    tenant.after_read = an_event_comes_late

    refused = await tenant.refused(timed, limits, input_nano=301)

    assert refused.remaining == 300


async def test_only_leases_past_their_end_are_named_as_expired(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    dead = await tenant.admitted(timed, limits, input_nano=10, lease_ms=1_000)
    await tenant.admitted(timed, limits, input_nano=10, lease_ms=60_000)
    clock.advance(3_000)

    found = await timed.expired(tenant.id)
    too_fresh = await timed.expired(tenant.id, since_ms=5_000)

    assert (found, too_fresh) == ([dead.call_id], [])
