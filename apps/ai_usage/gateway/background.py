"""`background: true`: accept a response to be made by a worker, and tell how it stands."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from uuid_utils.compat import uuid7

from apps.ai_usage import credentials
from apps.ai_usage.gateway import replies
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.listing import current_caller
from apps.ai_usage.gateway.process import GatewayProcess, now
from apps.ai_usage.gateway.refusals import refused_by_plan
from apps.ai_usage.gateway.replies import Send
from apps.ai_usage.gateway.requests import ModelRequest, Scope
from apps.ai_usage.gateway.rules import check_standing
from apps.ai_usage.ledger.records import KeptAnswer
from apps.ai_usage.models import BackgroundResponse, IdempotentCall
from apps.governance.gates import may
from apps.jobs import services as jobs
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

KEPT_FOR = timedelta(hours=24)
_PREFIX = "resp_"
_FINAL = {"completed", "failed", "cancelled", "incomplete"}


async def accept(call: Call, scope: Scope, send: Send) -> None:
    """Admit as if the call were made now, so that a refusal comes at once; then promise it to a worker.

    The hold is given back: the worker asks for its own when it begins.
    """
    refuse_stream(call.request)
    await call.prepare(scope)
    assert call.caller is not None and call.admitted is not None
    included = may("background_responses", entitlements=call.caller.snapshot.entitlements)
    if not included.allowed:
        raise refused_by_plan(included, call.caller.snapshot)
    call.process.release(call.admitted)
    call.finished = True
    principal, tenant = call.caller.key.principal, call.caller.snapshot.tenant
    response_id = uuid7()
    asked = orjson.dumps(
        {
            "key": principal.key_public_id,
            "body": call.request.body.decode(),
            "prompt": call.request.prompt,
        }
    )
    row = BackgroundResponse(
        id=response_id,
        call_id=call.log.id,
        key_id=principal.key_id,
        model=call.request.model,
        request=credentials.encrypt(asked, bound_to=place(response_id)),
        created_at=call.log.started_at,
        expires_at=call.log.started_at + KEPT_FOR,
    )
    answer = orjson.dumps(described(row))
    if call.claim is not None:
        call.claim.add(answer)
    await asyncio.to_thread(_promise, tenant, row, call.claim.kept() if call.claim else None)
    await replies.send_body(send, 200, replies.answer_headers(call, b"application/json"), answer)


def refuse_stream(request: ModelRequest) -> None:
    """Nobody is there to stream to when a worker has the answer."""
    if request.stream:
        raise Refusal(
            Kind.INVALID,
            "background_stream",
            "A background response cannot be streamed. Poll it.",
            param="stream",
        )


def _promise(tenant: TenantRef, row: BackgroundResponse, kept: KeptAnswer | None) -> None:
    try:
        with in_tenant(tenant), transaction.atomic():
            row.save(force_insert=True)
            if kept is not None:
                IdempotentCall.objects.filter(pk=kept.id, call_id=kept.call_id).update(
                    state=kept.state, content_type=kept.content_type, answer=kept.ciphertext
                )
            jobs.enqueue(
                "ai_usage.run_background",
                tenant_id=tenant.id,
                queue="interactive",
                payload={"response_id": str(row.pk)},
                max_attempts=4,
            )
    finally:
        connection.close()


async def stored_response(
    process: GatewayProcess, call_id: UUID, path: str, scope: Scope, send: Send
) -> None:
    """`GET`, `DELETE` and `POST …/cancel` on a background response of the caller's tenant and key family."""
    caller = await current_caller(process, scope)
    check_standing(caller)
    name, _, action = path.removeprefix("/v1/responses/").partition("/")
    method = scope["method"]
    wanted = {("GET", ""): "read", ("DELETE", ""): "delete", ("POST", "cancel"): "cancel"}.get(
        (method, action)
    )
    if wanted is None:
        raise Refusal(Kind.METHOD, "method_not_allowed", "Use GET, DELETE, or POST …/cancel here.")
    response_id = _parse_id(name)
    document = await asyncio.to_thread(
        _stored, caller.snapshot.tenant, response_id, caller.key.principal.key_id, wanted, now()
    )
    headers = [*replies.request_ids(call_id), (b"content-type", b"application/json")]
    await replies.send_body(send, 200, headers, orjson.dumps(document))


def _parse_id(name: str) -> UUID:
    try:
        return UUID(hex=name.removeprefix(_PREFIX))
    except ValueError:
        raise _no_such(name) from None


def _no_such(name: str) -> Refusal:
    return Refusal(
        Kind.NOT_FOUND,
        "response_not_found",
        f"There is no response {name[:80]!r} of this key. Background responses are kept for 24 hours.",
    )


def _stored(tenant: TenantRef, response_id: UUID, key_id: UUID, wanted: str, at: datetime) -> dict[str, Any]:
    try:
        with in_tenant(tenant), transaction.atomic():
            row = (
                BackgroundResponse.objects.select_for_update()
                .filter(pk=response_id, key_id=key_id, expires_at__gt=at)
                .first()
            )
            if row is None:
                raise _no_such(f"{_PREFIX}{response_id.hex}")
            if wanted == "delete":
                row.delete()
                return {"id": f"{_PREFIX}{response_id.hex}", "object": "response", "deleted": True}
            if wanted == "cancel" and row.state not in _FINAL:
                # A worker that has begun finishes, and what the provider charges is recorded; its answer is dropped.
                row.state, row.finished_at, row.request = "cancelled", at, None
                row.save()
            return described(row)
    finally:
        connection.close()


def place(response_id: UUID) -> str:
    """What the stored prompt and answer are bound to when they are encrypted."""
    return f"background:{response_id}"


def described(row: BackgroundResponse) -> dict[str, Any]:
    """The response object as OpenAI has it: the provider's own once it is there, under our id."""
    identity = {"id": f"{_PREFIX}{row.pk.hex}", "background": True}
    if row.state == "completed" and row.response is not None:
        stored: dict[str, Any] = orjson.loads(
            credentials.decrypt(bytes(row.response), bound_to=place(row.pk))
        )
        return stored | identity | {"model": row.model}
    error = {"code": row.error_code, "message": row.error_message} if row.state == "failed" else None
    return identity | {
        "object": "response",
        "created_at": int(row.created_at.timestamp()),
        "status": row.state,
        "model": row.model,
        "output": [],
        "error": error,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }
