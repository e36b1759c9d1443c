"""What one call leaves behind, and the SQL that stores a batch of them in a tenant's schema."""

import re
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, models

from apps.ai_usage.models import Attempt, Call, IdempotentCall, UsageEvent, UsagePending
from apps.tenancy.types import TenantRef


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer to keep for repetitions of a call (gateway/idempotency.py), stored together with its usage."""

    id: UUID
    call_id: UUID
    state: str
    content_type: str
    ciphertext: bytes | None


@dataclass(slots=True)
class Record:
    """Rows of one call: itself, its attempts, and what was consumed. Values are JSON-ready, by column name."""

    tenant: TenantRef
    call: dict[str, Any]
    attempts: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    kept: KeptAnswer | None = None

    def to_line(self) -> bytes:
        """One line of the spool."""
        tenant = {"id": self.tenant.id, "schema": self.tenant.schema}
        line = {"tenant": tenant, "call": self.call, "attempts": self.attempts, "events": self.events}
        if (kept := self.kept) is not None:
            line["kept"] = asdict(kept) | {"ciphertext": b64encode(kept.ciphertext or b"").decode()}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_line(cls, stored: dict[str, Any], tenant: TenantRef) -> "Record":
        """A record from a line of the spool."""
        record = cls(tenant, stored["call"], stored["attempts"], stored["events"])
        if kept := stored.get("kept"):
            record.kept = KeptAnswer(
                id=UUID(kept["id"]),
                call_id=UUID(kept["call_id"]),
                state=kept["state"],
                content_type=kept["content_type"],
                ciphertext=b64decode(kept["ciphertext"]) or None,
            )
        return record


def batch_parameters(records: list[Record]) -> tuple[str, str, str, str]:
    """The parameters of `insert_statement` for records of one tenant: three JSON arrays and the tenant's id."""
    return (
        _json([record.call for record in records]),
        _json([row for record in records for row in record.attempts]),
        _json([row for record in records for row in record.events]),
        str(records[0].tenant.id),
    )


def _json(rows: list[dict[str, Any]]) -> str:
    """Rows as PostgreSQL takes them: it has no NUL in text, and a provider that sends one must not cost us an event."""
    encoded = orjson.dumps(rows)
    if b"\\u0000" in encoded:
        encoded = _NUL.sub(rb"\1", encoded)
    return encoded.decode()


# An escaped NUL, and not an escaped backslash followed by u0000.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@cache
def insert_statement(schema: str) -> str:
    """One statement that stores a batch whole or not at all, and any part that is there already not again.

    Events that are new are put down for the roll-up in the same breath, and the roll-up is asked for by a
    ticket, so neither can be forgotten. JSON arrays as parameters keep the cost per row with PostgreSQL,
    where the gateway's core is not.
    """
    pending = UsagePending._meta.db_table
    return f"""
WITH calls AS ({_insert(schema, Call, "%s")}),
attempts AS ({_insert(schema, Attempt, "%s")}),
events AS ({_insert(schema, UsageEvent, "%s")} RETURNING id),
pending AS (INSERT INTO "{schema}"."{pending}" (event_id) SELECT id FROM events)
INSERT INTO public.jobs_workticket
    (id, kind, tenant_id, queue, payload, state, dedupe_key, cost, due_at, attempts, max_attempts,
     worker, last_error, created_at)
SELECT uuidv7(), 'billing.roll_up_tenant', t.id, 'billing', '{{}}', 'ready', t.id::text, 1, now(), 0, 20,
       '', '', now()
  FROM (SELECT %s::uuid AS id) t WHERE EXISTS (SELECT 1 FROM events)
ON CONFLICT DO NOTHING
"""


@cache
def keep_statement(schema: str) -> str:
    """Stores an answer for repetitions, if the call still is the one that they would get."""
    return (
        f'UPDATE "{schema}"."{IdempotentCall._meta.db_table}" SET state = %s, content_type = %s, answer = %s '
        "WHERE id = %s AND call_id = %s"
    )


def kept_parameters(kept: KeptAnswer) -> tuple[Any, ...]:
    """The parameters of `keep_statement`."""
    return (kept.state, kept.content_type, kept.ciphertext, kept.id, kept.call_id)


def _insert(schema: str, model: type[models.Model], parameter: str) -> str:
    """INSERT … SELECT from a JSON array, for every column of the model that the database does not fill itself."""
    columns = [column for column in model._meta.concrete_fields if not column.has_db_default()]
    names = ", ".join(f'"{column.column}"' for column in columns)
    typed = ", ".join(f'"{column.column}" {column.db_type(connection)}' for column in columns)
    return (
        f'INSERT INTO "{schema}"."{model._meta.db_table}" ({names}) '
        f"SELECT {names} FROM jsonb_to_recordset({parameter}::jsonb) AS r({typed}) ON CONFLICT (id) DO NOTHING"
    )
