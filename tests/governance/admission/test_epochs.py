"""What admission was told to go by: a change holds on the next ask of every process."""

import asyncio
from collections.abc import Callable

from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.types import Refused, Stale, request_rate
from tests.governance.admission.conftest import Clock, MakeEngine, Server
from tests.governance.admission.tenant import Tenant


async def once(
    engine: AdmissionEngine, tenant: Tenant, epoch: int, call_id: str, *, accept_dirty: bool = False
) -> Admitted | Refused | Stale:
    limits = tenant.limits(request_rate("tenant.requests_per_hour", 10, period_ms=3_600_000))
    ask = Ask(call_id, limits, epoch, accept_dirty=accept_dirty)
    return await engine.admit(ask, spent=tenant.spent, ledger_amounts=tenant.amounts)


async def test_an_unknown_epoch_is_answered_with_the_one_in_force_and_holds_nothing(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    stale = await once(engine, tenant, 0, "a")
    again = await once(engine, tenant, 1, "a")

    assert isinstance(stale, Stale)
    assert stale == again
    assert not stale.dirty
    admitted = await once(engine, tenant, stale.epoch, "a")
    assert isinstance(admitted, Admitted)
    assert admitted.requests.remaining == 9


async def test_a_change_makes_every_other_epoch_stale_on_every_engine(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant
) -> None:
    one, other = await make_engine(shared_server), await make_engine(shared_server)
    before = (await once(one, tenant, 0, "a")).epoch

    mark = await one.announce_change_begin(tenant.id)
    during = await once(other, tenant, before, "b")
    after = await one.announce_change_end(tenant.id, mark)

    assert during.dirty
    assert before < during.epoch < after
    assert await once(other, tenant, during.epoch, "c") == Stale(after, dirty=False)
    assert isinstance(await once(other, tenant, after, "d"), Admitted)


async def test_while_a_writer_is_about_to_commit_only_those_who_loaded_afresh_get_through(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    mark = await engine.announce_change_begin(tenant.id)
    stale = await once(engine, tenant, 0, "a")

    keeping = await once(engine, tenant, stale.epoch, "b")
    fresh = await once(engine, tenant, stale.epoch, "c", accept_dirty=True)
    await engine.announce_change_end(tenant.id, mark)
    too_late = await once(engine, tenant, stale.epoch, "d", accept_dirty=True)

    assert keeping == Stale(stale.epoch, dirty=True)
    assert isinstance(fresh, Admitted)
    assert isinstance(too_late, Stale)


async def test_the_mark_stays_until_the_last_of_several_writers_is_done(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    first = await engine.announce_change_begin(tenant.id)
    second = await engine.announce_change_begin(tenant.id)

    epoch = await engine.announce_change_end(tenant.id, first)
    between = await once(engine, tenant, epoch, "a")
    epoch = await engine.announce_change_end(tenant.id, second)

    assert between.dirty
    assert isinstance(await once(engine, tenant, epoch, "b"), Admitted)


async def test_a_writer_who_dies_before_telling_the_end_leaves_no_old_epoch_valid(
    shared_server: Server, make_engine: MakeEngine, tenant: Tenant, clock: Clock
) -> None:
    engine = await make_engine(shared_server, clock=clock.now)
    before = (await once(engine, tenant, 0, "a")).epoch
    await engine.announce_change_begin(tenant.id)
    clock.advance(59_999)
    during = await once(engine, tenant, before, "b")

    clock.advance(1)
    after = await once(engine, tenant, before, "c")

    assert during.dirty
    assert after == Stale(during.epoch, dirty=False)
    assert isinstance(await once(engine, tenant, after.epoch, "d"), Admitted)


async def test_a_change_in_one_tenant_does_not_touch_another(
    engine: AdmissionEngine, make_tenant: Callable[[], Tenant]
) -> None:
    one, other = make_tenant(), make_tenant()
    epoch = (await once(engine, other, 0, "a")).epoch

    await engine.announce_change_begin(one.id)

    assert isinstance(await once(engine, other, epoch, "b"), Admitted)


async def test_an_epoch_never_comes_back_even_when_valkey_lost_everything(
    own_server: Server, make_engine: MakeEngine, make_tenant: Callable[..., Tenant]
) -> None:
    engine = await make_engine(own_server)
    tenant = make_tenant(own_server)
    epochs = [(await once(engine, tenant, 0, "a")).epoch]
    for _ in range(5):
        epochs.append(
            await engine.announce_change_end(tenant.id, await engine.announce_change_begin(tenant.id))
        )

    tenant.valkey.flushall()
    epochs.append((await once(engine, tenant, epochs[-1], "b")).epoch)

    assert epochs == sorted(set(epochs))


async def test_no_epoch_survives_a_restart_since_changes_could_not_be_announced_meanwhile(
    durable_server: Server, make_engine: MakeEngine, make_tenant: Callable[..., Tenant]
) -> None:
    engine = await make_engine(durable_server)
    tenant = make_tenant(durable_server)
    before = (await once(engine, tenant, 0, "a")).epoch
    durable_server.kill()
    durable_server.start()
    await asyncio.sleep(0.6)

    after = await once(engine, tenant, before, "b")

    assert isinstance(after, Stale)
    assert after.epoch > before
    assert isinstance(await once(engine, tenant, after.epoch, "c"), Admitted)
