"""`Idempotency-Key` on model calls: one name, one call, one charge, and the same answer to every repetition.

A claim is a row in the tenant's schema. Whoever inserts it makes the call; the answer is written to it in the
transaction that commits the usage event, so a repetition finds both or neither. A call that cost nothing gives
its name back. A process that dies leaves an open claim behind, which may be taken over once its lease passed.
"""

import asyncio
import contextlib
from collections import OrderedDict
from typing import Any
from uuid import UUID, uuid5

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.rows import namedtuple_row
from uuid_utils.compat import uuid7

from apps.ai_usage import credentials
from apps.ai_usage.gateway import replies
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.claims import Claim, fingerprint, place
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.listing import current_caller
from apps.ai_usage.gateway.process import GatewayProcess
from apps.ai_usage.gateway.replies import Send
from apps.ai_usage.gateway.requests import Scope
from apps.ai_usage.gateway.rules import check_standing, route_of
from apps.ai_usage.ledger import claim_statements
from apps.keys import selectors as keys
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

KEPT_HOURS = 24
_LONGEST_KEY = 255
_MOST_FAMILIES = 100_000
_families: OrderedDict[UUID, UUID] = OrderedDict()


async def begin(call: Call, key: bytes, scope: Scope, send: Send) -> bool:
    """Claim the call's name for it, or answer from what is kept: True where that has been done.

    Refusal where the name is taken by a call under way, or by another request.
    """
    if not 1 <= len(key) <= _LONGEST_KEY or not all(0x21 <= byte <= 0x7E for byte in key):
        raise Refusal(
            Kind.INVALID,
            "invalid_idempotency_key",
            f"An Idempotency-Key is 1 to {_LONGEST_KEY} visible ASCII characters, such as a UUID.",
        )
    caller = call.caller
    assert caller is not None
    process, tenant = call.process, caller.snapshot.tenant
    claim_id = uuid5(await _family(tenant, caller.key.principal.key_id), key.decode("ascii"))
    mark = fingerprint(call.request)
    for _ in range(3):
        event_id = await _claim(process, tenant, claim_id, mark, call.log.id)
        if event_id is not None:
            claim = call.claim = Claim(tenant, claim_id, call.log.id, event_id)
            claim.keeper = asyncio.create_task(_keep_alive(process, claim))
            return False
        row = await _read(process, tenant, claim_id)
        if row is not None:
            await _repeat(call, row, mark, scope, send)
            return True
    raise _in_progress()


async def end(claim: Claim, process: GatewayProcess) -> None:
    """The call is over: let its name be used again if it cost nothing."""
    if claim.keeper is not None:
        claim.keeper.cancel()
    if not claim.is_kept:
        await asyncio.shield(process.in_background(_give_back(process, claim)))


async def _keep_alive(process: GatewayProcess, claim: Claim) -> None:
    while True:
        await asyncio.sleep(settings.GATEWAY_LEASE_SECONDS / 3)
        try:
            await _execute(
                process,
                claim_statements.extend(claim.tenant.schema),
                (settings.GATEWAY_LEASE_SECONDS, claim.id, claim.call_id),
            )
        except (psycopg.Error, OSError):
            # The next turn may find PostgreSQL back; if none does, the lease is what it is for.
            continue


async def _give_back(process: GatewayProcess, claim: Claim) -> None:
    # Where this fails, the lease runs out by itself.
    with contextlib.suppress(psycopg.Error, OSError):
        await _execute(process, claim_statements.forget(claim.tenant.schema), (claim.id, claim.call_id))


async def _repeat(call: Call, row: Any, mark: bytes, scope: Scope, send: Send) -> None:
    # What this process remembers may be outdated, and nobody asks admission here.
    caller = await current_caller(call.process, scope)
    check_standing(caller)
    route_of(caller, call.request.model)
    if bytes(row.fingerprint) != mark:
        raise Refusal(
            Kind.INVALID,
            "idempotency_key_reused",
            "This Idempotency-Key was used with another request. Use a new key for a new request.",
        )
    if row.state == "open":
        raise _in_progress()
    named = ((b"x-lockstep-original-call-id", str(row.call_id).encode()),)
    if row.state == "too_large":
        raise Refusal(
            Kind.CONFLICT,
            "idempotency_answer_too_large",
            f"Call {row.call_id} under this key was completed and charged once; its answer is too large to repeat.",
            headers=(*named, (b"x-should-retry", b"false")),
        )
    try:
        answer = credentials.decrypt(bytes(row.answer or b""), bound_to=place(caller.snapshot.tenant, row.id))
    except credentials.CannotDecrypt:
        raise Refusal(
            Kind.CONFLICT,
            "idempotency_answer_lost",
            f"Call {row.call_id} under this key was completed and charged once; its answer can no longer be read.",
            headers=(*named, (b"x-should-retry", b"false")),
        ) from None
    headers = [
        *replies.request_ids(row.call_id),
        *named,
        (b"content-type", row.content_type.encode()),
        (b"x-lockstep-idempotent-replay", b"true"),
    ]
    await replies.send_body(send, 200, headers, answer)


def _in_progress() -> Refusal:
    return Refusal(
        Kind.CONFLICT,
        "idempotency_in_progress",
        "The first call with this Idempotency-Key is still being answered. Ask again shortly.",
        retry_after=1,
    )


async def _family(tenant: TenantRef, key_id: UUID) -> UUID:
    family = _families.get(key_id)
    if family is None:
        # The first of a chain of rotations stays the first, so this never changes.
        family = _families[key_id] = await asyncio.to_thread(_read_family, tenant, key_id)
        if len(_families) > _MOST_FAMILIES:
            _families.popitem(last=False)
    return family


def _read_family(tenant: TenantRef, key_id: UUID) -> UUID:
    try:
        with in_tenant(tenant):
            return keys.family_of(key_id)
    finally:
        connection.close()


async def _claim(
    process: GatewayProcess, tenant: TenantRef, claim_id: UUID, mark: bytes, call_id: UUID
) -> UUID | None:
    async with process.pool.connection() as conn:
        parameters = {
            "id": claim_id,
            "mark": mark,
            "call": call_id,
            "event": uuid7(),
            "lease": settings.GATEWAY_LEASE_SECONDS,
            "hours": KEPT_HOURS,
        }
        cursor = await conn.execute(claim_statements.take(tenant.schema), parameters)
        row = await cursor.fetchone()
        return row[0] if row else None


async def _read(process: GatewayProcess, tenant: TenantRef, claim_id: UUID) -> Any:
    async with process.pool.connection() as conn:
        cursor = conn.cursor(row_factory=namedtuple_row)
        await cursor.execute(claim_statements.read(tenant.schema), (claim_id,))
        return await cursor.fetchone()


async def _execute(process: GatewayProcess, statement: str, words: tuple[Any, ...]) -> None:
    async with process.pool.connection() as conn:
        await conn.execute(statement, words)
