"""Making background responses in a worker: the same admission, metering and ledger as on the hot path."""

import asyncio
import threading
import time
import uuid
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.ai_usage import credentials
from apps.ai_usage.gateway import inspection, shaping
from apps.ai_usage.gateway.background import place
from apps.ai_usage.gateway.callers import Caller
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.keeping import Answer as KeptAnswer
from apps.ai_usage.gateway.process import GatewayProcess
from apps.ai_usage.gateway.refusals import refused_by_limit, refused_by_plan
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.gateway.rules import permit
from apps.ai_usage.gateway.transport import ProvidersAnswer
from apps.ai_usage.models import BackgroundResponse
from apps.ai_usage.normalise import Endpoint
from apps.ai_usage.providers.openai_sdk import ResponsesThroughSdk
from apps.errors import DomainError
from apps.governance.admission.ask import Admitted
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import Kind as LimitKind
from apps.governance.admission.types import Refused, Stale
from apps.governance.gates import may
from apps.governance.prompts.using import PromptUse
from apps.jobs import services as jobs
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

_MOST_RELOADS = 8
_RETRYABLE = {Kind.RATE, Kind.UNAVAILABLE, Kind.UPSTREAM_BUSY, Kind.UPSTREAM_TIMEOUT, Kind.UPSTREAM}


class NotNow(DomainError):
    """The response could not be made now; its ticket tries again."""

    status = 503
    code = "not_now"


def run_background(response_id: UUID) -> None:
    """Make one background response of the tenant in force, or take up one that a dead worker left half made.

    Safe to run twice: the answer is stored before it is accounted for, and an event has an id made of the
    response's, so what was paid for once is neither asked for nor charged again.
    """
    row = BackgroundResponse.objects.filter(pk=response_id).first()
    if row is None or row.state in ("completed", "failed") or row.request is None:
        return
    asked = orjson.loads(credentials.decrypt(bytes(row.request), bound_to=place(row.pk)))
    BackgroundResponse.objects.filter(pk=row.pk, state="queued").update(state="in_progress")
    work = _Work(
        current_tenant(),
        row.pk,
        asked["key"],
        asked["body"].encode(),
        _stored_answer(row),
        jobs.is_last_try(),
    )
    if (used := asked.get("prompt")) is not None:
        # It was put in when the response was asked for; what is left is to say so.
        work.request.prompt = PromptUse(UUID(used["id"]), used["slug"], used["version"])
        work.request.prompt_ref = work.request.prompt.ref
    ended = plane().run(work.make())
    _finish(row.pk, ended, at=timezone.now())


class _Ended:
    """How the work ended: an answer, or why there is none."""

    def __init__(self, answer: bytes | None = None, refusal: Refusal | None = None) -> None:
        self.answer = answer
        self.refusal = refusal


class _Work:
    """One background response on the worker's event loop."""

    def __init__(
        self,
        tenant: TenantRef,
        response_id: UUID,
        key_id: str,
        body: bytes,
        answer: bytes | None,
        is_last_try: bool,
    ) -> None:
        self.tenant = tenant
        self.response_id = response_id
        self.key_id = key_id
        self.answer = answer
        self.is_last_try = is_last_try
        parsed = orjson.loads(body)
        self.request = ModelRequest(Endpoint.RESPONSES, "openai", body, parsed, parsed["model"], False, {})

    async def make(self) -> _Ended:
        process = plane().process
        call = Call(process, self.request, uuid7(), time.monotonic(), transport=plane().transport)
        try:
            await self._admit(call)
            return await self._answered(call)
        except ProvidersAnswer as theirs:
            call.gave_up(status=theirs.answer.status, outcome="failed", error_code="invalid_request")
            said = _message(theirs.body)
            return _Ended(refusal=Refusal(Kind.INVALID, "invalid_request", said))
        except Refusal as refusal:
            outcome = "failed" if call.log.attempts else "refused"
            call.gave_up(
                status=refusal.status("openai"),
                outcome=outcome,
                error_code=refusal.code,
                said=refusal.message,
            )
            if refusal.kind in _RETRYABLE and not self.is_last_try:
                raise NotNow(refusal.message, retry_after=refusal.retry_after) from refusal
            return _Ended(refusal=refusal)
        except BaseException:
            call.gave_up(status=500, outcome="failed", error_code="internal_error")
            raise

    async def _admit(self, call: Call) -> Admitted:
        """By the key's row: its secret was checked when the response was asked for, its rights are checked now."""
        process = call.process
        process.recorder.check_room()
        epoch, dirty = await process.epoch(self.tenant)
        for _ in range(_MOST_RELOADS):
            snapshot = await process.snapshots.load(
                self.tenant, epoch or 0, keep=epoch is not None and not dirty
            )
            key = await process.snapshots.key(snapshot, self.key_id)
            if key is None or key.principal.expires_at <= timezone.now():
                raise Refusal(
                    Kind.AUTHENTICATION, "invalid_api_key", "The key was revoked or has expired meanwhile."
                )
            # The request itself was counted when it was accepted.
            limits = [limit for limit in key.limits.limits if limit.kind is not LimitKind.REQUESTS]
            own = key.limits
            key = replace(
                key,
                limits=LimitSet(self.tenant.id, limits, owner=own.owner, parent=own.parent, key=own.key),
            )
            call.caller = Caller(snapshot, key, "", dirty or epoch is None)
            included = may("background_responses", entitlements=snapshot.entitlements)
            if not included.allowed:
                raise refused_by_plan(included, snapshot)
            if shaping.is_needed(call.caller, self.request):
                await shaping.shape(call, call.caller)
            call.permitted = permit(call.caller, self.request, timezone.now())
            answer = await process.admit(snapshot.tenant, call.ask(call.caller, call.permitted, dirty))
            if isinstance(answer, Stale):
                epoch, dirty = answer.epoch, answer.dirty
                continue
            if isinstance(answer, Refused):
                raise refused_by_limit(answer)
            call.admitted = answer
            return answer
        raise Refusal(Kind.UNAVAILABLE, "settings_changing", "Settings are being changed.", retry_after=1)

    async def _answered(self, call: Call) -> _Ended:
        if self.answer is None:
            _, attempt, body = await call.attempt()
            assert body is not None
            attempt.id = uuid.uuid5(self.response_id, "usage")
            if call.inspection is not None:
                body = await inspection.of_answer(call, attempt, body, body)
            if call.caller is not None and call.caller.snapshot.content_key is not None:
                call.kept = KeptAnswer()
                call.kept.add(body)
            await asyncio.to_thread(_store_answer, self.tenant, self.response_id, body)
        else:
            # A worker died between storing the answer and accounting for it. Only the accounting is left.
            body = self.answer
            attempt = call.attempt_at_first_target()
        attempt.id = uuid.uuid5(self.response_id, "usage")
        await call.consumed(attempt, call.reported(body, attempt), status=200, outcome="ok")
        return _Ended(answer=body)


def _message(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])[:500]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "The provider found the request invalid."


def _stored_answer(row: BackgroundResponse) -> bytes | None:
    return credentials.decrypt(bytes(row.response), bound_to=place(row.pk)) if row.response else None


def _store_answer(tenant: TenantRef, response_id: UUID, body: bytes) -> None:
    try:
        with in_tenant(tenant):
            BackgroundResponse.objects.filter(pk=response_id).update(
                response=credentials.encrypt(body, bound_to=place(response_id))
            )
    finally:
        connection.close()


@transaction.atomic
def _finish(response_id: UUID, ended: _Ended, *, at: datetime) -> None:
    row = BackgroundResponse.objects.select_for_update().filter(pk=response_id).first()
    if row is None:
        return
    if row.state == "cancelled":
        row.response = None
    elif ended.refusal is not None:
        row.state, row.error_code, row.error_message = (
            "failed",
            ended.refusal.code,
            ended.refusal.message[:500],
        )
    else:
        row.state = "completed"
    # The prompt has done its work.
    row.request, row.finished_at = None, at
    row.save()


class WorkerPlane:
    """A worker process's own gateway: one event loop in a thread, for all the tickets its pool works on."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.transport = ResponsesThroughSdk()
        threading.Thread(target=self.loop.run_forever, name="worker-gateway", daemon=True).start()
        self.process: GatewayProcess = asyncio.run_coroutine_threadsafe(self._begin(), self.loop).result()

    async def _begin(self) -> GatewayProcess:
        process = GatewayProcess()
        await process.start()
        return process

    def run(self, work: Coroutine[Any, Any, _Ended]) -> _Ended:
        """Run a coroutine on the loop and wait for it in this thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self) -> None:
        """Write down what waits; for the end of the worker process."""
        asyncio.run_coroutine_threadsafe(self.process.stop(), self.loop).result(timeout=30)


_plane: WorkerPlane | None = None
_lock = threading.Lock()


def plane() -> WorkerPlane:
    """This worker's gateway, made by its first ticket."""
    global _plane
    with _lock:
        if _plane is None:
            _plane = WorkerPlane()
        return _plane


def stop_plane() -> None:
    """End this worker's gateway if it ever began."""
    if _plane is not None:
        _plane.stop()
