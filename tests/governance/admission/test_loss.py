"""Valkey gone, back, or empty: money waits or is refused, never overshot; rates go on with an alarm."""

import asyncio
import time
from collections.abc import Callable

import pytest

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.errors import GovernanceUnavailable
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import MONTH, SettleStatus, budget, concurrency, request_rate
from tests.governance.admission.conftest import MakeEngine, Server
from tests.governance.admission.tenant import Tenant


@pytest.fixture
def tenant(own_server: Server, make_tenant: Callable[..., Tenant]) -> Tenant:
    return make_tenant(own_server)


def monthly(tenant: Tenant, amount: int = 1_000) -> LimitSet:
    return tenant.limits(budget("tenant.spend_per_month", amount, MONTH))


async def settled(engine: AdmissionEngine) -> None:
    """Wait until the engine has nothing more to tell Valkey."""
    async with asyncio.timeout(5):
        while engine.counters().owed_endings:
            await asyncio.sleep(0.01)


async def test_money_is_refused_at_once_while_valkey_is_away_and_let_through_when_it_is_back(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engine = await make_engine(own_server)
    limits = monthly(tenant)
    await tenant.admitted(engine, limits)
    own_server.kill()
    await asyncio.sleep(0.02)

    started = time.monotonic()
    for _ in range(5):
        with pytest.raises(GovernanceUnavailable) as refused:
            await tenant.ask(engine, limits, input_nano=1)
    seconds = time.monotonic() - started
    own_server.start()
    await asyncio.sleep(0.6)

    assert (refused.value.status, refused.value.retry_after) == (503, 1.0)
    assert seconds < 0.25
    assert isinstance(await tenant.ask(engine, limits, input_nano=1), Admitted)
    assert engine.counters().unavailable == 5


async def test_rates_let_through_with_an_alarm_while_valkey_is_away_unless_asked_to_be_closed(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engine = await make_engine(own_server)
    limits = tenant.limits(
        request_rate("tenant.requests_per_minute", 1), budget("tenant.spend_per_month", 1, MONTH, soft=True)
    )
    own_server.kill()
    await asyncio.sleep(0.02)

    calls = [await tenant.admitted(engine, limits, output_tokens=7) for _ in range(3)]
    with pytest.raises(GovernanceUnavailable):
        await tenant.ask(engine, limits, closed_without_valkey=True)

    assert [(call.degraded, call.granted_output_tokens, call.requests) for call in calls] == [
        (True, 7, None)
    ] * 3
    assert (await engine.settle(calls[0], 5)).status is SettleStatus.NOT_HELD
    assert (await engine.release(calls[1])).status is SettleStatus.NOT_HELD
    assert not await engine.extend(calls[2])
    assert engine.counters().degraded == 3


async def test_an_engine_may_start_before_its_valkey(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    own_server.kill()
    engine = await make_engine(own_server, beat_s=0.02)
    with pytest.raises(GovernanceUnavailable):
        await tenant.ask(engine, monthly(tenant), input_nano=1)

    own_server.start()
    await asyncio.sleep(0.6)

    assert isinstance(await tenant.ask(engine, monthly(tenant), input_nano=1), Admitted)


async def test_losing_everything_in_mid_flight_never_lets_reservations_go_to_others(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engines = [await make_engine(own_server, recovery_ms=400, beat_s=0.05) for _ in range(2)]
    limits = monthly(tenant)
    held = [await tenant.admitted(engines[i % 2], limits, input_nano=100) for i in range(8)]
    tenant.commit(held[0], 70)  # committed, and its settlement still to come
    await tenant.finish(engines[1], held[1], 90)

    tenant.valkey.flushall()
    answers = await asyncio.gather(*(tenant.ask(engines[i % 2], limits, input_nano=100) for i in range(20)))
    window = held[0].compiled.budgets[0]
    after_loss = tenant.counter(window)
    await engines[0].settle(held[0], 70)

    # 90 settled, 70 committed; the rest of that call's hold, six more holds and two of the new: 30 + 600 +
    # 200.
    assert sum(isinstance(answer, Admitted) for answer in answers) == 2
    assert after_loss == (160, 830)
    assert tenant.counter(window) == (160, 800)
    assert [engine.counters().recoveries for engine in engines] == [1, 1]


async def test_settlements_right_after_a_loss_are_counted_from_the_ledger(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engine = await make_engine(own_server, recovery_ms=200, beat_s=30)
    limits = monthly(tenant)
    held = [await tenant.admitted(engine, limits, input_nano=100) for _ in range(6)]

    tenant.valkey.flushall()
    statuses = [(await tenant.finish(engine, call, 60)).status for call in held[:3]]
    last = await tenant.admitted(engine, limits, input_nano=520)

    assert statuses == [SettleStatus.UNKNOWN] * 3
    assert tenant.counter(last.compiled.budgets[0]) == (180, 820)


async def test_only_budgets_wait_after_a_loss_and_rates_start_afresh(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engine = await make_engine(own_server, recovery_ms=300, beat_s=0.05)
    rate = request_rate("tenant.requests_per_hour", 1, period_ms=3_600_000)
    slots = concurrency("tenant.concurrent_calls", 1)
    await tenant.admitted(engine, tenant.limits(rate))
    busy = await tenant.admitted(engine, tenant.limits(slots))

    tenant.valkey.flushall()
    started = time.monotonic()
    again = await tenant.admitted(engine, tenant.limits(rate))
    refused = await tenant.refused(engine, tenant.limits(slots))
    seconds = time.monotonic() - started
    await tenant.admitted(engine, monthly(tenant))

    assert again.requests.remaining == 0
    assert refused.limit.name == "tenant.concurrent_calls"
    assert seconds < 0.2
    assert time.monotonic() - started >= 0.2
    await engine.settle(busy, 0)
    await tenant.admitted(engine, tenant.limits(slots))


async def test_a_restart_without_a_file_is_like_a_loss(
    own_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    engine = await make_engine(own_server, recovery_ms=700, beat_s=0.05)
    limits = monthly(tenant)
    held = await tenant.admitted(engine, limits, input_nano=600)
    await tenant.finish(engine, await tenant.admitted(engine, limits, input_nano=300), 250)

    own_server.kill()
    own_server.start()
    await asyncio.sleep(0.6)
    refused = await tenant.refused(engine, limits, input_nano=151)

    assert refused.remaining == 150
    assert tenant.counter(held.compiled.budgets[0]) == (250, 600)
    assert (await tenant.finish(engine, held, 10)).status is SettleStatus.SETTLED


async def test_a_settlement_while_valkey_is_away_is_told_when_it_is_back(
    durable_server: Server, make_engine: MakeEngine, make_tenant: Callable[..., Tenant]
) -> None:
    tenant = make_tenant(durable_server)
    engine = await make_engine(durable_server, recovery_ms=300, beat_s=0.05)
    limits = monthly(tenant)
    calls = [await tenant.admitted(engine, limits, input_nano=300) for _ in range(3)]
    durable_server.kill()
    await asyncio.sleep(0.02)

    statuses = [(await tenant.finish(engine, calls[0], 100)).status, (await engine.release(calls[1])).status]
    owed = engine.counters().owed_endings
    durable_server.start()
    await settled(engine)
    last = await tenant.admitted(engine, limits, input_nano=600)

    assert statuses == [SettleStatus.DEFERRED] * 2
    assert owed == 2
    assert tenant.counter(last.compiled.budgets[0]) == (100, 900)


async def test_a_server_back_from_its_file_has_its_counters_checked_against_the_ledger(
    durable_server: Server, make_engine: MakeEngine, make_tenant: Callable[..., Tenant]
) -> None:
    tenant = make_tenant(durable_server)
    engine = await make_engine(durable_server, recovery_ms=700, beat_s=0.05)
    limits = monthly(tenant)
    held = await tenant.admitted(engine, limits, input_nano=300)
    window = held.compiled.budgets[0]
    # The file may lack the last second: here a call that was admitted, settled and forgotten.
    tenant.ledger.commit(tenant.id.hex, "forgotten", 200, held.admitted_at_ms)

    durable_server.kill()
    durable_server.start()
    await asyncio.sleep(0.3)
    refused = await tenant.refused(engine, limits, input_nano=501)

    assert refused.remaining == 500
    assert tenant.counter(window) == (200, 300)


async def test_in_a_cluster_each_tenant_has_a_generation_of_its_own(
    own_server: Server, make_engine: MakeEngine, make_tenant: Callable[..., Tenant]
) -> None:
    engine = await make_engine(own_server, per_tenant_generation=True, recovery_ms=100, beat_s=0.02)
    one, other = make_tenant(own_server), make_tenant(own_server)
    held = await one.admitted(engine, monthly(one), input_nano=600)
    await other.admitted(engine, monthly(other), input_nano=600)

    one.valkey.delete(*one.valkey.scan_iter(f"lockstep:{{{one.id.hex}}}:*"))
    refused = await one.refused(engine, monthly(one), input_nano=401)

    assert refused.remaining == 400
    assert one.counter(held.compiled.budgets[0]) == (0, 600)
    assert engine.counters().recoveries == 1
    assert {name.split("}")[0] for name in one.valkey.scan_iter("*")} == {
        f"lockstep:{{{one.id.hex}",
        f"lockstep:{{{other.id.hex}",
    }
