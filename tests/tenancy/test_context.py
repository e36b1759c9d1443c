"""The tenant in force cannot be wrong: threads, tasks, gather, rollbacks and reused connections."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.db import connection, transaction

from apps.tenancy.context import in_scope
from apps.tenancy.errors import NoTenantInForce, TenantNotReady
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import in_public, in_tenant
from apps.tenancy.types import Scope, TenantRef, TenantState


def schema_of_connection() -> str:
    """Where an unqualified name leads right now, as PostgreSQL sees it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return cursor.fetchone()[0]


def in_bare_thread(work):
    """Run in a thread that was told nothing; returns its result or what it raised."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001  (for the test to look at, in its own thread)
            outcome.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome[0]


def test_a_thread_that_was_told_no_tenant_gets_an_error_and_no_data(acme):
    with in_tenant(acme):
        found = in_bare_thread(schema_of_connection)

    assert isinstance(found, NoTenantInForce)


def test_a_thread_has_the_tenant_it_enters_whatever_others_do(acme, globex):
    def work(tenant):
        def run():
            seen = []
            with in_tenant(tenant):
                for _ in range(50):
                    seen.append(schema_of_connection())
            return set(seen)

        return run

    with in_tenant(globex):
        assert in_bare_thread(work(acme)) == {acme.schema}
        assert schema_of_connection() == globex.schema


async def test_coroutines_that_run_at_once_each_keep_their_own_tenant(acme, globex):
    async def work(tenant: TenantRef) -> set[str]:
        seen = set()
        with in_tenant(tenant):
            for _ in range(20):
                await asyncio.sleep(0)
                assert current_tenant() == tenant
                # One shared database thread serves all of them in turn.
                seen.add(await sync_to_async(schema_of_connection)())
        return seen

    found = await asyncio.gather(*(work(tenant) for tenant in (acme, globex) * 5))

    assert found == [{acme.schema}, {globex.schema}] * 5


async def test_a_task_starts_with_its_makers_tenant_and_keeps_it_when_the_maker_moves_on(acme, globex):
    seen = []

    async def later() -> None:
        await asyncio.sleep(0.01)
        seen.append(current_tenant())

    with in_tenant(acme):
        task = asyncio.create_task(later())
    with in_tenant(globex):
        await task

    assert seen == [acme]


def test_what_a_rolled_back_transaction_entered_does_not_stay_entered(acme, globex):
    with in_tenant(acme):
        with pytest.raises(RuntimeError), transaction.atomic(), in_tenant(globex):
            assert schema_of_connection() == globex.schema
            raise RuntimeError
        assert schema_of_connection() == acme.schema


def test_a_savepoint_that_is_rolled_back_leaves_the_path_where_it_belongs(acme, globex):
    with transaction.atomic(), in_tenant(acme):
        assert schema_of_connection() == acme.schema
        with in_tenant(globex):
            with pytest.raises(RuntimeError), transaction.atomic():
                assert schema_of_connection() == globex.schema
                raise RuntimeError
            assert schema_of_connection() == globex.schema
        assert schema_of_connection() == acme.schema


def test_a_connection_that_is_used_again_carries_nothing_over(committed, acme, globex):
    with in_tenant(acme):
        assert schema_of_connection() == acme.schema
    connection.close()

    with in_tenant(globex):
        assert schema_of_connection() == globex.schema


def test_the_row_security_setting_follows_the_scope(acme):
    def setting() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lockstep.tenant_id', true)")
            return cursor.fetchone()[0]

    with in_tenant(acme):
        assert setting() == str(acme.id)
    with in_public():
        assert setting() == ""


def test_cache_entries_of_two_tenants_never_meet(acme, globex):
    with in_tenant(acme):
        cache.set("answer", "acme's")
    with in_tenant(globex):
        assert cache.get("answer") is None
        cache.set("answer", "globex's")
    with in_tenant(acme):
        assert cache.get("answer") == "acme's"


async def test_cache_keys_in_the_event_loop_carry_the_coroutines_tenant(acme, globex):
    async def work(tenant: TenantRef) -> str:
        with in_tenant(tenant):
            await cache.aset("loop", tenant.slug)
            await asyncio.sleep(0.01)
            return await cache.aget("loop")

    assert await asyncio.gather(work(acme), work(globex)) == ["acme", "globex"]


def test_the_cache_refuses_to_guess_whose_entry_is_meant(acme):
    found = in_bare_thread(lambda: cache.get("answer"))

    assert isinstance(found, NoTenantInForce)


@pytest.mark.parametrize("state", [TenantState.PROVISIONING, TenantState.DELETING, TenantState.DELETED])
def test_a_tenant_whose_schema_is_not_whole_cannot_be_entered(acme, state):
    half_made = TenantRef(acme.id, acme.ref, acme.slug, acme.name, acme.schema, state)

    with pytest.raises(TenantNotReady), in_tenant(half_made):
        schema_of_connection()


def test_public_is_entered_only_by_saying_so(acme):
    with in_tenant(acme), in_public():
        assert schema_of_connection() == "public"
    with in_scope(Scope(schema=acme.schema, tenant=acme)):
        assert schema_of_connection() == acme.schema
