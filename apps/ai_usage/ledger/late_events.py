"""Events that reach the ledger after the counters were told, or were not told, of them: out of a spool."""

from collections import defaultdict
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from apps.ai_usage.ledger.records import Record
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import subject_word
from apps.governance.admission.types import Level
from apps.tenancy.types import TenantRef


async def forget_counters(engine: AdmissionEngine, pool: AsyncConnectionPool, records: list[Record]) -> None:
    """Have the budgets that these records count against read from the ledger again.

    Whoever made the calls may be dead, so which limits there were is not asked: every budget of the tenant, of the
    calls' owners, of their keys and of those keys' parents. Raises while Valkey is away.
    """
    by_tenant: dict[UUID, list[Record]] = defaultdict(list)
    for record in records:
        if record.events:
            by_tenant[record.tenant.id].append(record)
    for tenant_id, late in by_tenant.items():
        owners = {str(record.call["owner_id"]) for record in late if record.call["owner_id"]}
        keys = {str(record.call["key_id"]) for record in late if record.call["key_id"]}
        keys |= await _parents(pool, late[0].tenant, keys)
        subjects = [subject_word(Level.TENANT)]
        subjects += [subject_word(Level.OWNER, UUID(owner).hex) for owner in owners]
        subjects += [subject_word(Level.KEY, UUID(key).hex) for key in keys]
        await engine.forget_budgets(tenant_id, subjects)


async def _parents(pool: AsyncConnectionPool, tenant: TenantRef, keys: set[str]) -> set[str]:
    async with pool.connection() as conn:
        cursor = await conn.execute(
            f'SELECT DISTINCT parent_id FROM "{tenant.schema}".keys_apikey '
            "WHERE id = ANY(%s::uuid[]) AND parent_id IS NOT NULL",
            (list(keys),),
        )
        return {str(parent) for (parent,) in await cursor.fetchall()}
