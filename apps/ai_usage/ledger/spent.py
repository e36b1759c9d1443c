"""What the ledger says was spent, for counters that Valkey lacks: exact, in one snapshot, and quick at any size."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from apps.governance.admission.types import BudgetWindow, Level, Spent, to_nano
from apps.tenancy.types import TenantRef

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


async def spent_in_windows(
    pool: AsyncConnectionPool, tenant: TenantRef, budgets: Sequence[BudgetWindow], open_calls: Sequence[str]
) -> Spent:
    """Sums of prices per budget window, and the amounts of those open calls that the sums include.

    Rolled-up hours plus the events no roll-up has counted yet: what is read does not grow with the ledger.
    One repeatable-read transaction, so that hours and pending events are of the same moment.
    """
    schema = tenant.schema
    amounts: dict[str, int] = {}
    async with pool.connection() as conn, conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for window in budgets:
            whose, parameters = _whose(schema, window)
            begins = datetime.fromtimestamp(window.start_ms / 1000, UTC)
            ends = datetime.fromtimestamp(window.end_ms / 1000, UTC) if window.end_ms else _FOREVER
            cursor = await conn.execute(
                f"""
SELECT coalesce((SELECT sum(price) FROM "{schema}".ai_usage_usagehourly u
                  WHERE u.hour >= %(begins)s AND u.hour < %(ends)s {whose}), 0)
     + coalesce((SELECT sum(u.price) FROM "{schema}".ai_usage_usagepending p
                   JOIN "{schema}".ai_usage_usageevent u ON u.id = p.event_id
                  WHERE u.occurred_at >= %(begins)s AND u.occurred_at < %(ends)s {whose}), 0)
""",
                parameters | {"begins": begins, "ends": ends},
            )
            row = await cursor.fetchone()
            amounts[window.counter] = to_nano(Decimal(row[0])) if row else 0
        committed = await _amounts(conn, schema, open_calls)
    return Spent(amounts=amounts, committed=committed)


async def amounts_of_calls(
    pool: AsyncConnectionPool, tenant: TenantRef, call_ids: Sequence[str]
) -> Mapping[str, int]:
    """What the ledger has for these calls, in nano-units; a call it does not have is left out."""
    async with pool.connection() as conn:
        return await _amounts(conn, tenant.schema, call_ids)


async def _amounts(conn: Any, schema: str, call_ids: Sequence[str]) -> dict[str, int]:
    if not call_ids:
        return {}
    cursor = await conn.execute(
        f'SELECT call_id, sum(price) FROM "{schema}".ai_usage_usageevent WHERE call_id = ANY(%s) GROUP BY call_id',
        ([UUID(call_id) for call_id in call_ids],),
    )
    return {call_id.hex: to_nano(Decimal(amount)) for call_id, amount in await cursor.fetchall()}


def _whose(schema: str, window: BudgetWindow) -> tuple[str, dict[str, Any]]:
    level, subject = window.limit.level, window.limit.subject
    if level is Level.TENANT:
        return "", {}
    if level is Level.OWNER:
        return "AND u.owner_id = %(subject)s", {"subject": UUID(subject)}
    # A key's budget is its family's: what its children spend is its own spending.
    return (
        f'AND (u.key_id = %(subject)s OR u.key_id IN (SELECT id FROM "{schema}".keys_apikey '
        "WHERE parent_id = %(subject)s))",
        {"subject": UUID(subject)},
    )
