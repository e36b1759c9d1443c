"""The story of one call: identify, permit, admit, attempt, meter, record, settle, answer."""

import asyncio
import logging
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from uuid_utils.compat import uuid7

from apps.ai_usage import metrics
from apps.ai_usage.answers import response_usage
from apps.ai_usage.explanation import explain
from apps.ai_usage.gateway import metering, shaping
from apps.ai_usage.gateway.attempts import Failure, Plan
from apps.ai_usage.gateway.cached import CacheUse
from apps.ai_usage.gateway.callers import Caller, fragment, identify, moved_on
from apps.ai_usage.gateway.claims import Claim
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.foreign import NOT_EXPRESSIBLE
from apps.ai_usage.gateway.inspection import Inspection
from apps.ai_usage.gateway.keeping import Answer as KeptAnswer
from apps.ai_usage.gateway.metering import AttemptLog, CallLog, Metered, Reported
from apps.ai_usage.gateway.policies import wishes
from apps.ai_usage.gateway.process import GatewayProcess, now
from apps.ai_usage.gateway.refusals import exhausted, refused_by_limit
from apps.ai_usage.gateway.requests import ModelRequest, Scope
from apps.ai_usage.gateway.rules import Permitted, permit
from apps.ai_usage.gateway.transport import Transport, ms_since, over_http
from apps.ai_usage.gateway.upstream import Answer, UpstreamFailed
from apps.ai_usage.ledger.records import Record
from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.types import Refused, Stale
from apps.money import nano_up_from_pico

log = logging.getLogger(__name__)

_MOST_RELOADS = 8
# A budget with less room than this refuses instead of granting an answer too short to be of use.
_LEAST_OUTPUT = 64


class Call:
    """One governed call. `prepare` admits it, `attempt` finds an answer, `finish` accounts for it exactly once."""

    def __init__(
        self,
        process: GatewayProcess,
        request: ModelRequest,
        call_id: UUID,
        began: float,
        *,
        caller: Caller | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.process = process
        self.transport = transport or over_http
        self.request = request
        self.began = began
        self.log = CallLog(call_id, now(), request.endpoint.value, request.model, request.stream)
        self.caller = caller
        self.permitted: Permitted | None = None
        self.admitted: Admitted | None = None
        self.finished = False
        self.lost_events: list[dict[str, Any]] = []
        # Set where the client named the call with an Idempotency-Key.
        self.claim: Claim | None = None
        # Set where the tenant has a data boundary.
        self.inspection: Inspection | None = None
        # Set where the tenant has answers of this model repeated from memory.
        self.cache: CacheUse | None = None
        # The provider's name for its answer, for traces.
        self.response_id: str | None = None
        # What is shown of the answer, where the tenant keeps content.
        self.kept: KeptAnswer | None = None
        # For metrics: when the request had been read, when a provider was first asked, what waiting for one took.
        self._read_at = time.monotonic()
        self._asked_at: float | None = None
        self._upstream_seconds = 0.0
        self._plan: Plan | None = None

    async def prepare(self, scope: Scope) -> Admitted:
        """Identify, permit and admit; Refusal with the reason otherwise, after making sure it is not an old one."""
        process, request = self.process, self.request
        process.recorder.check_room()
        epoch: int | None = None
        dirty = False
        for _ in range(_MOST_RELOADS):
            at = now()
            caller = self.caller
            try:
                if caller is None or epoch is not None:
                    caller = self.caller = await identify(
                        process, scope, request.headers, at, epoch=epoch, dirty=dirty
                    )
                if shaping.is_needed(caller, request):
                    await shaping.shape(self, caller)
                permitted = self.permitted = permit(caller, request, at)
            except Refusal as refusal:
                # What refused may be what this process remembers. Nothing is refused on an outdated reason.
                ref = caller.snapshot.tenant.ref if caller else fragment(request.headers)
                is_fresh = caller is not None and caller.is_fresh
                changed = None if is_fresh else await moved_on(process, refusal, ref)
                if changed is None:
                    raise
                epoch, dirty = changed
                continue
            ask = self.ask(caller, permitted, dirty)
            answer = await process.admit(caller.snapshot.tenant, ask)
            if isinstance(answer, Stale):
                epoch, dirty = answer.epoch, answer.dirty
                continue
            if isinstance(answer, Refused):
                process.refused(ask, answer)
                raise refused_by_limit(answer)
            if answer.degraded and not caller.is_fresh:
                # Valkey is away, so nobody compared epochs: trust nothing remembered.
                process.snapshots.forget(caller.snapshot.tenant.ref)
                self.caller, epoch, dirty = None, None, False
                continue
            self.admitted = answer
            if caller.snapshot.content_key is not None:
                self.kept = KeptAnswer()
            return answer
        raise Refusal(
            Kind.UNAVAILABLE,
            "settings_changing",
            "The settings of this tenant are being changed right now. Try again shortly.",
            retry_after=1,
        )

    def ask(self, caller: Caller, permitted: Permitted, dirty: bool) -> Ask:
        """The question to admission: the most this call can use, and what it probably will."""
        principal = caller.key.principal
        expected = self.process.estimates.expect(
            principal.key_id, self.request.model, permitted.output_tokens
        )
        likely_input = len(self.request.body) // 3
        least = min(permitted.output_tokens, _LEAST_OUTPUT * permitted.choices)
        seconds = permitted.route.total_timeout + settings.GATEWAY_DRAIN_SECONDS + 30
        return Ask(
            call_id=self.log.id.hex,
            limits=caller.key.limits,
            epoch=caller.snapshot.epoch,
            tokens=likely_input + expected,
            input_tokens=permitted.input_tokens,
            input_nano=permitted.input_nano,
            output_tokens=permitted.output_tokens,
            output_price_pico=permitted.output_price_pico,
            min_output_tokens=least if permitted.output_tokens else None,
            estimate_nano=permitted.input_nano + nano_up_from_pico(expected * permitted.output_price_pico),
            lease_ms=settings.GATEWAY_LEASE_SECONDS * 1000,
            keep_alive_ms=int(seconds * 1000),
            accept_dirty=dirty,
            closed_without_valkey=not caller.snapshot.entitlements.throughput_fails_open,
        )

    async def attempt(self) -> tuple[Answer, AttemptLog, bytes | None]:
        """Try targets until one answers. The body comes along unless it is a stream.

        Raises Refusal when none does; a client's own mistake is answered with the provider's words.
        """
        permitted = self.permitted
        assert permitted is not None and self.admitted is not None
        plan = self._plan = Plan(
            permitted.route, permitted.targets, self.process.breakers, self.request.dialect
        )
        granted = self._granted()
        ends = self.began + permitted.route.total_timeout
        last: tuple[Failure, str] | None = None
        while (step := plan.next()) is not None:
            target, pause = step
            if time.monotonic() + pause >= ends:
                break
            if pause:
                await asyncio.sleep(pause)
                self._upstream_seconds += pause
            attempt = AttemptLog(uuid7(), target, now(), waited_ms=round(pause * 1000))
            self.log.attempts.append(attempt)
            began = time.monotonic()
            if self._asked_at is None:
                self._asked_at = began
            try:
                answer, body = await self.transport(self, attempt, granted, ends)
            except UpstreamFailed as failed:
                attempt.duration_ms = ms_since(began)
                attempt.outcome, attempt.error = failed.failure.outcome, failed.reason
                if last is None or failed.failure is not NOT_EXPRESSIBLE:
                    last = (failed.failure, failed.reason)
                if failed.failure.counts_against_target:
                    self.process.breakers.failed(target)
                plan.failed(target, failed.failure)
                continue
            finally:
                self._upstream_seconds += time.monotonic() - began
            self.process.breakers.succeeded(target)
            attempt.outcome = "ok"
            return answer, attempt, body
        raise exhausted(last)

    def attempt_at_first_target(self) -> AttemptLog:
        """An attempt that was made before and whose answer is at hand: only its accounting is missing."""
        assert self.permitted is not None
        attempt = AttemptLog(uuid7(), self.permitted.targets[0], now(), status=200, outcome="ok")
        self.log.attempts.append(attempt)
        return attempt

    def _granted(self) -> int | None:
        """The output limit to write into the request, per choice: what admission granted, or a policy lets through."""
        assert self.admitted is not None and self.permitted is not None
        if not self.admitted.is_clamped and self.permitted.output_cap is None:
            return None
        return max(1, self.admitted.granted_output_tokens // self.permitted.choices)

    def reported(self, body: bytes, attempt: AttemptLog) -> Reported:
        """What a complete answer says of its consumption."""
        dialect = attempt.target.dialect
        usage = attempt.said or response_usage(dialect, self.request.endpoint_at(dialect), body)
        return Reported(
            raw_usage=usage.usage,
            model=usage.model,
            service_tier=usage.service_tier,
            response_id=usage.response_id,
            output_characters=usage.output_characters,
        )

    async def consumed(
        self,
        attempt: AttemptLog,
        reported: Reported,
        *,
        status: int,
        outcome: str,
        error_code: str = "",
        said: str = "",
    ) -> Metered:
        """Price what was consumed, make it durable, then settle. When this returns, the call may be answered."""
        caller, permitted, admitted = self.caller, self.permitted, self.admitted
        assert caller is not None and permitted is not None and admitted is not None
        self.finished = True
        self.response_id = reported.response_id
        metered = metering.meter(
            caller, self.request, permitted, self.log, attempt, reported, admitted.admitted_at_ms
        )
        self.log.explanation = self._explained(said)
        await self._charge(metered, status=status, outcome=outcome, error_code=error_code)
        return metered

    async def repeated(self, attempt: AttemptLog, reported: Reported, percent: int) -> None:
        """Account for an answer from memory: what its call consumed, at no cost and at a share of the price."""
        caller, permitted, admitted = self.caller, self.permitted, self.admitted
        assert caller is not None and permitted is not None and admitted is not None
        self.finished = True
        metered = metering.meter(
            caller, self.request, permitted, self.log, attempt, reported, admitted.admitted_at_ms
        )
        self.log.explanation = self._explained()
        await self._charge(metering.from_cache(metered, attempt.id, percent), status=200, outcome="ok")

    async def _charge(self, metered: Metered, *, status: int, outcome: str, error_code: str = "") -> None:
        caller, admitted = self.caller, self.admitted
        assert caller is not None and admitted is not None
        record = self.log.record(
            caller,
            status=status,
            outcome=outcome,
            duration_ms=ms_since(self.began),
            error_code=error_code,
            event=metered.event,
        )
        record.events += self.lost_events
        if self.claim is not None:
            self.claim.keep_with(record)
        # A process that stood still past its lease holds it again before others could be let in on top of it.
        await self.process.engine.ensure_lease(admitted, settings.GATEWAY_LEASE_SECONDS * 250)
        await self.process.recorder.commit(record)
        if caller.snapshot.content_key is not None:
            self.process.keeper.keep(self)
        self._observe(record)
        tokens = metered.total_tokens + self._lost_tokens()
        self.process.settle(admitted, nano_up_from_pico(metered.rated.price_pico), tokens)
        self.process.estimates.learn(caller.key.principal.key_id, self.request.model, metered.output_tokens)

    def lost(self, attempt: AttemptLog, outcome: str) -> None:
        """Account for an answer that broke off before it was whole: the operator's estimated cost, at no price.

        The caller gets another attempt, or an error, and pays for what is delivered.
        """
        caller, permitted, admitted = self.caller, self.permitted, self.admitted
        assert caller is not None and permitted is not None and admitted is not None
        metered = metering.meter(
            caller,
            self.request,
            permitted,
            self.log,
            attempt,
            Reported(partial=True),
            admitted.admitted_at_ms,
        )
        self.lost_events.append(metering.at_no_price(metered.event, outcome))

    def stopped(self) -> None:
        """Account for a call that ends because its process does. A provider that was asked may well charge for it."""
        last = self.log.attempts[-1] if self.log.attempts else None
        if not self.finished and last is not None and not last.outcome:
            last.outcome = "stopped"
            self.lost(last, last.outcome)
        self.gave_up(status=503, outcome="failed", error_code="stopping")

    def gave_up(self, *, status: int, outcome: str, error_code: str, said: str = "") -> None:
        """Account for a call that consumed nothing: give back what it holds, note how it ended and what was said."""
        if self.finished:
            return
        self.finished = True
        if self.admitted is not None and self.lost_events:
            self.process.settle(self.admitted, 0, self._lost_tokens())
        elif self.admitted is not None:
            self.process.release(self.admitted)
        if self.caller is not None:
            self.log.explanation = self._explained(said)
            record = self.log.record(
                self.caller,
                status=status,
                outcome=outcome,
                duration_ms=ms_since(self.began),
                error_code=error_code,
            )
            record.events += self.lost_events
            self.process.recorder.note(record)
            self._observe(record)

    def _lost_tokens(self) -> int:
        """What answers that broke off used: at no price, but tokens are tokens."""
        return sum(event["input_tokens"] + event["output_tokens"] for event in self.lost_events)

    def _explained(self, refusal: str = "") -> dict[str, Any]:
        targets = [target.name for target in self.permitted.targets] if self.permitted else []
        skipped = list(self._plan.skipped) if self._plan else []
        shadowed = self.permitted.shadowed if self.permitted else ()
        said = explain(
            targets=targets,
            skipped=skipped,
            admitted=self.admitted,
            refusal=refusal,
            shadowed=shadowed,
            repeated=self.cache.origin if self.cache is not None else "",
        )
        return shaping.explained(self, said | wishes(self.request))

    def _observe(self, record: Record) -> None:
        ended = time.monotonic()
        added = None
        if self._asked_at is not None:
            # A stream's bytes wait for nobody but the provider once they come, so only what is before them is ours.
            ours = self._asked_at if self.request.stream else ended - self._upstream_seconds
            added = ours - self._read_at
        metrics.observe_call(record, seconds=ended - self.began, added_seconds=added)
        if self.process.tracing is not None:
            self.process.tracing.ended(self, record)
