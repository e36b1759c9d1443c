"""Leases: whatever becomes of their owner, what they hold is given back or counted exactly once."""

import asyncio

import pytest

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import MONTH, SettleStatus, budget, concurrency, token_rate
from tests.governance.admission.conftest import Clock, MakeEngine, Server
from tests.governance.admission.tenant import Tenant


@pytest.fixture
async def timed(shared_server: Server, make_engine: MakeEngine, clock: Clock) -> AdmissionEngine:
    """An engine whose time stands still until the test moves it; it resolves orphans only when it must."""
    return await make_engine(shared_server, clock=clock.now, resolve_in_background=False)


def monthly(tenant: Tenant, amount: int = 1_000) -> LimitSet:
    return tenant.limits(budget("tenant.spend_per_month", amount, MONTH))


async def test_a_lease_past_its_end_refuses_nobody(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    lost = await tenant.admitted(timed, limits, input_nano=1_000, lease_ms=5_000)
    clock.advance(4_999)
    during = await tenant.ask(timed, limits, input_nano=1)

    clock.advance(1)
    after = await tenant.admitted(timed, limits, input_nano=1_000)

    assert not isinstance(during, Admitted)
    assert tenant.counter(after.compiled.budgets[0]) == (0, 1_000)
    assert (await timed.resolve(tenant.id, lost.call_id, 0)) is SettleStatus.ALREADY


async def test_a_call_committed_but_not_settled_is_counted_exactly_once_after_its_lease(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    lost = await tenant.admitted(timed, limits, input_nano=900, lease_ms=5_000)
    tenant.commit(lost, 400)
    clock.advance(5_000)

    refused = await tenant.refused(timed, limits, input_nano=601)
    again = await tenant.refused(timed, limits, input_nano=601)

    assert (refused.remaining, again.remaining) == (600, 600)
    assert tenant.counter(lost.compiled.budgets[0]) == (400, 0)
    assert timed.counters().orphans_resolved == 1


async def test_hundreds_of_dead_leases_are_given_back_within_one_ask(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    dead = [await tenant.admitted(timed, limits, input_nano=2, lease_ms=1_000) for _ in range(500)]
    for call in dead[::2]:
        tenant.commit(call, 1)
    clock.advance(1_000)

    live = await tenant.admitted(timed, limits, input_nano=750)

    assert tenant.counter(live.compiled.budgets[0]) == (250, 750)


async def test_orphans_are_resolved_once_by_two_engines_that_find_them_together(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant, clock: Clock
) -> None:
    engines = [await make_engine(shared_server, clock=clock.now) for _ in range(2)]
    limits = monthly(tenant)
    lost = [await tenant.admitted(engines[0], limits, input_nano=100, lease_ms=1_000) for _ in range(10)]
    for call in lost:
        tenant.commit(call, 70)
    clock.advance(1_000)
    tenant.read_delay = 0.02

    answers = await asyncio.gather(*(tenant.ask(engines[i % 2], limits, input_nano=100) for i in range(20)))

    assert sum(isinstance(answer, Admitted) for answer in answers) == 3
    assert tenant.counter(lost[0].compiled.budgets[0]) == (700, 300)
    assert sum(each.counters().orphans_resolved for each in engines) == 10


async def test_orphans_that_refuse_nobody_are_resolved_in_the_background(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    lost = await tenant.admitted(engine, limits, input_nano=100, lease_ms=1)
    tenant.commit(lost, 60)
    await asyncio.sleep(0.005)

    call = await tenant.admitted(engine, limits, input_nano=1)
    await asyncio.sleep(0.05)

    assert tenant.counter(call.compiled.budgets[0]) == (60, 1)


async def test_a_late_owner_whose_lease_was_given_back_is_counted_from_the_ledger(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    late = await tenant.admitted(timed, limits, input_nano=800, lease_ms=1_000)
    clock.advance(1_000)
    other = await tenant.admitted(timed, limits, input_nano=300)

    settled = await tenant.finish(timed, late, 500)
    refused = await tenant.refused(timed, limits, input_nano=201)

    assert settled.status is SettleStatus.UNKNOWN
    assert refused.remaining == 200
    assert tenant.counter(other.compiled.budgets[0]) == (500, 300)
    assert (await timed.settle(late, 500)).status is SettleStatus.ALREADY


async def test_a_late_owner_whose_amount_was_counted_already_changes_nothing(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    late = await tenant.admitted(timed, limits, input_nano=800, lease_ms=1_000)
    tenant.commit(late, 500)
    clock.advance(1_000)
    await tenant.refused(timed, limits, input_nano=501)
    reads = tenant.ledger.reads

    settled = await timed.settle(late, 500)

    assert settled.status is SettleStatus.ALREADY
    assert tenant.counter(late.compiled.budgets[0]) == (500, 0)
    assert tenant.ledger.reads == reads


async def test_settling_a_lease_that_valkey_does_not_know_has_its_budgets_seeded_again(
    timed: AdmissionEngine, tenant: Tenant
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=800)
    other = await tenant.admitted(timed, limits, input_nano=100)
    tenant.valkey.delete(f"lockstep:{{{tenant.id.hex}}}:l:{call.call_id}")

    settled = await tenant.finish(timed, call, 500)

    assert settled.status is SettleStatus.UNKNOWN
    assert tenant.counter(call.compiled.budgets[0])[0] is None
    await tenant.ask(timed, limits)
    assert tenant.counter(other.compiled.budgets[0])[0] == 500
    assert timed.counters().unknown_settlements == 1


async def test_an_orphan_whose_record_has_gone_is_not_asked_about_for_ever(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    call = await tenant.admitted(timed, limits, input_nano=800, lease_ms=1_000)
    tenant.valkey.delete(f"lockstep:{{{tenant.id.hex}}}:l:{call.call_id}")
    clock.advance(1_000)

    await tenant.refused(timed, limits, input_nano=500)

    assert tenant.valkey.zcard(f"lockstep:{{{tenant.id.hex}}}:leases") == 0


async def test_extending_keeps_money_and_slot(timed: AdmissionEngine, tenant: Tenant, clock: Clock) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_month", 1_000, MONTH), concurrency("tenant.concurrent_calls", 2)
    )
    call = await tenant.admitted(timed, limits, input_nano=1_000, lease_ms=1_000)
    clock.advance(900)

    extended = await timed.extend(call, 5_000)
    clock.advance(4_000)

    assert extended
    assert call.expires_at_ms == clock.now() + 1_000
    assert (await tenant.refused(timed, limits, input_nano=1)).limit.name == "tenant.spend_per_month"
    assert (await tenant.finish(timed, call, 10)).status is SettleStatus.SETTLED


async def test_extending_a_lease_that_was_given_back_holds_its_money_again(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    stalled = await tenant.admitted(timed, limits, input_nano=800, lease_ms=1_000)
    clock.advance(1_000)
    await tenant.admitted(timed, limits, input_nano=900)

    extended = await timed.extend(stalled, 5_000)

    assert extended
    assert tenant.counter(stalled.compiled.budgets[0])[1] == 1_700
    assert (await tenant.refused(timed, limits, input_nano=1)).remaining == 0
    await tenant.finish(timed, stalled, 50)
    assert tenant.counter(stalled.compiled.budgets[0]) == (50, 900)


async def test_an_owner_that_stood_still_holds_its_money_again_before_it_commits(
    timed: AdmissionEngine, tenant: Tenant, clock: Clock
) -> None:
    limits = monthly(tenant)
    stalled = await tenant.admitted(timed, limits, input_nano=800, lease_ms=20_000)
    assert await timed.ensure_lease(stalled)
    clock.advance(20_000)
    await tenant.admitted(timed, limits, input_nano=900)

    ensured = await timed.ensure_lease(stalled)
    tenant.commit(stalled, 300)
    refused = await tenant.refused(timed, limits, input_nano=1)
    await timed.settle(stalled, 300)

    assert ensured
    assert stalled.expires_at_ms == clock.now() + 20_000
    assert refused.remaining == 0
    assert tenant.counter(stalled.compiled.budgets[0]) == (300, 900)


async def test_the_watch_keeps_a_long_call_alive_and_stops_when_it_should(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engine = await make_engine(shared_server, beat_s=0.02)
    limits = monthly(tenant)
    call = await tenant.admitted(engine, limits, input_nano=1_000, lease_ms=150, keep_alive_ms=300)

    await asyncio.sleep(0.25)
    during = await tenant.ask(engine, limits, input_nano=1)
    await asyncio.sleep(0.35)
    after = await tenant.ask(engine, limits, input_nano=1)

    assert not isinstance(during, Admitted)
    assert isinstance(after, Admitted)
    assert tenant.counter(call.compiled.budgets[0]) == (0, 1)


async def test_a_caller_who_hangs_up_while_asking_leaves_nothing_held(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_month", 1_000, MONTH),
        concurrency("tenant.concurrent_calls", 5),
        token_rate("tenant.tokens_per_minute", 100),
    )
    first = await tenant.admitted(engine, limits)
    tasks = [asyncio.create_task(tenant.ask(engine, limits, input_nano=100, tokens=10)) for _ in range(4)]
    await asyncio.sleep(0)

    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.05)

    assert tenant.counter(first.compiled.budgets[0]) == (0, 0)
    assert (await tenant.admitted(engine, limits, input_nano=1_000, tokens=100)).tokens.remaining == 0
    assert engine.counters().open_leases == 2


async def test_everything_in_valkey_has_an_end(timed: AdmissionEngine, tenant: Tenant) -> None:
    limits = tenant.limits(
        budget("tenant.spend_per_month", 1_000, MONTH),
        concurrency("tenant.concurrent_calls", 5),
        token_rate("tenant.tokens_per_minute", 100),
    )
    call = await tenant.admitted(timed, limits, input_nano=100, tokens=10)
    await tenant.admitted(timed, limits, input_nano=100, tokens=10)
    await timed.announce_change_begin(tenant.id)

    await tenant.finish(timed, call, 50, tokens=20)

    names = list(tenant.valkey.scan_iter(f"lockstep:{{{tenant.id.hex}}}:*"))
    assert len(names) == 10
    assert [name for name in names if tenant.valkey.ttl(name) < 0] == []
    assert tenant.valkey.ttl("lockstep:generation") > 0
