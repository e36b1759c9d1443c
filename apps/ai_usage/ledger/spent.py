"""What the ledger says was spent, for counters that Valkey lacks: exact, in one snapshot, and quick at any size."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from apps.ai_usage.quantities import INPUT_CLASSES, OUTPUT_SIDE
from apps.governance.admission.types import BudgetWindow, Level, Spent, Used, to_nano
from apps.tenancy.types import TenantRef

# What is summed of an hour's rows and of an event, and which of an hour's rows count.
_MONEY = ("u.price", "u.price", "")
_TOKENS = (
    "u.quantity",
    "u.input_tokens + u.output_tokens",
    f"AND u.quantity_class IN ({', '.join(repr(str(name)) for name in (*INPUT_CLASSES, *OUTPUT_SIDE))})",
)
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
            cursor = await conn.execute(*spent_statement(schema, window))
            row = await cursor.fetchone()
            spent = Decimal(row[0]) if row else Decimal(0)
            amounts[window.counter] = int(spent) if window.limit.counts_tokens else to_nano(spent)
        committed = await _amounts(conn, schema, open_calls)
    return Spent(amounts=amounts, committed=committed)


def spent_statement(schema: str, window: BudgetWindow) -> tuple[str, dict[str, Any]]:
    """The question what was spent of a budget in a window, in its unit, and the values in it."""
    whose, parameters = _whose(schema, window)
    begins = datetime.fromtimestamp(window.start_ms / 1000, UTC)
    ends = datetime.fromtimestamp(window.end_ms / 1000, UTC) if window.end_ms else _FOREVER
    of_hour, of_event, counted = _TOKENS if window.limit.counts_tokens else _MONEY
    statement = f"""
SELECT coalesce((SELECT sum({of_hour}) FROM "{schema}".ai_usage_usagehourly u
                  WHERE u.hour >= %(begins)s AND u.hour < %(ends)s {counted} {whose}), 0)
     + coalesce((SELECT sum({of_event}) FROM "{schema}".ai_usage_usagepending p
                   JOIN "{schema}".ai_usage_usageevent u ON u.id = p.event_id
                  WHERE u.occurred_at >= %(begins)s AND u.occurred_at < %(ends)s {whose}), 0)
"""
    return statement, parameters | {"begins": begins, "ends": ends}


def calls_statement(schema: str, window: BudgetWindow, most: int) -> tuple[str, dict[str, Any]]:
    """The question how many calls a shadow budget would have refused in a window, counted up to a number."""
    whose, parameters = _whose(schema, window)
    begins = datetime.fromtimestamp(window.start_ms / 1000, UTC)
    ends = datetime.fromtimestamp(window.end_ms / 1000, UTC) if window.end_ms else _FOREVER
    names = [window.limit.name, f"parent.{window.limit.name.partition('.')[2]}"]
    statement = f"""
SELECT count(*) FROM (SELECT 1 FROM "{schema}".ai_usage_call u
 WHERE u.started_at >= %(begins)s AND u.started_at < %(ends)s AND u.explanation->'tried_out' ?| %(names)s {whose}
 LIMIT %(most)s) found"""
    return statement, parameters | {"begins": begins, "ends": ends, "names": names, "most": most}


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
        f'SELECT call_id, sum(price), sum(input_tokens + output_tokens) FROM "{schema}".ai_usage_usageevent '
        "WHERE call_id = ANY(%s) GROUP BY call_id",
        ([UUID(call_id) for call_id in call_ids],),
    )
    return {
        call_id.hex: Used(to_nano(Decimal(amount)), int(tokens))
        for call_id, amount, tokens in await cursor.fetchall()
    }


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
