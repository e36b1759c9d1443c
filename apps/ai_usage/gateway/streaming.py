"""Streams: bytes on as they come, the end only when the usage is safe, and no bill lost when the client leaves."""

import asyncio
import logging
import time

import orjson
from django.conf import settings

from apps.ai_usage import bodies, metrics
from apps.ai_usage.event_stream import StreamMeter, StreamTooLarge
from apps.ai_usage.gateway import caching, foreign, replies, upstream
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.inspected_streams import inspector_for
from apps.ai_usage.gateway.metering import AttemptLog, Reported
from apps.ai_usage.gateway.replies import Pairs, Send
from apps.ai_usage.gateway.requests import Receive
from apps.ai_usage.gateway.upstream import Answer, UpstreamCut
from apps.ai_usage.normalise import Endpoint
from apps.ai_usage.sse import AnthropicMeter, OpenAIChatMeter, OpenAIResponsesMeter

log = logging.getLogger(__name__)

# A token's event has a few hundred; padding against eavesdroppers and a last event that repeats it all add to that.
_MOST_BYTES_OF_A_TOKEN = 4096


def meter_for(call: Call, attempt: AttemptLog) -> StreamMeter:
    """The meter of the endpoint that answers, which is of the provider's dialect."""
    request, dialect = call.request, attempt.target.dialect
    endpoint = request.endpoint_at(dialect)
    if endpoint is Endpoint.MESSAGES:
        return AnthropicMeter()
    if endpoint is Endpoint.RESPONSES:
        return OpenAIResponsesMeter()
    # A translated stream says its usage in its own way, so nothing of it is hidden from the translation.
    shows_usage = dialect != request.dialect or bodies.asks_for_usage(request.parsed)
    return OpenAIChatMeter(include_usage_requested_by_client=shows_usage)


class Relay:
    """One stream on its way from provider to client.

    A client that has gone does not stop the meter: what the provider still produces is read within bounds
    (`GATEWAY_DRAIN_SECONDS`, `GATEWAY_MAX_DRAINS`), so that its exact usage is known, and nothing is sent.
    """

    def __init__(self, call: Call, answer: Answer, attempt: AttemptLog, send: Send, receive: Receive) -> None:
        self.call = call
        self.answer = answer
        self.attempt = attempt
        self.meter = meter_for(call, attempt)
        is_foreign = attempt.target.dialect != call.request.dialect
        self.translator = foreign.stream_for(call.request) if is_foreign else None
        looked = call.inspection
        # Where the tenant's data boundary reads answers; it may end the stream for the client.
        self.inspector = (
            inspector_for(looked, call.request.endpoint) if looked and looked.reads_answers else None
        )
        self.refusal: Refusal | None = None
        self._ending = b""
        self._send = send
        self._gone = asyncio.ensure_future(_disconnected(receive))
        self._draining = False
        self._drain_until = 0.0
        self.cut_reason = ""

    @property
    def client_is_gone(self) -> bool:
        """Whether nobody reads any more."""
        return self._gone.done()

    async def run(self) -> None:
        """Relay to the end, account for it, and only then let the client see the end."""
        try:
            await self._send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        *replies.answer_headers(self.call, b"text/event-stream; charset=utf-8"),
                        (b"cache-control", b"no-cache"),
                        (b"x-accel-buffering", b"no"),
                        *self._notes(),
                    ],
                }
            )
            await self._relay_or_stop()
            await self._account()
            await self._end()
        finally:
            self._gone.cancel()
            self.answer.close()
            if self._draining:
                self.call.process.drains -= 1
                metrics.observe_drain("cut" if self.cut_reason else "complete")

    async def _relay_or_stop(self) -> None:
        try:
            await self._relay()
        except asyncio.CancelledError:
            # The process ends before the stream does. What has come is charged, and that takes a moment.
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            self.cut_reason = "the gateway was stopped"

    async def _relay(self) -> None:
        permitted = self.call.permitted
        assert permitted is not None
        ends = self.call.began + permitted.route.total_timeout
        # Far more than the output that was asked for can take, so what goes on beyond it is no answer any more.
        left = settings.GATEWAY_MAX_RESPONSE + _MOST_BYTES_OF_A_TOKEN * permitted.output_tokens
        feed, gone, claim, translator = self.meter.feed, self._gone, self.call.claim, self.translator
        inspector, kept = self.inspector, self.call.kept
        cache = self.call.cache
        try:
            async for chunk in upstream.chunks(self.answer, permitted.route):
                if self.call.log.first_byte_ms is None:
                    self.call.log.first_byte_ms = round((time.monotonic() - self.call.began) * 1000)
                forward = feed(chunk)
                if translator is not None:
                    forward = translator.feed(forward)
                if inspector is not None and forward:
                    forward = await self._inspected(forward)
                if claim is not None:
                    claim.add(forward)
                if cache is not None:
                    cache.add(forward)
                if kept is not None:
                    kept.add(forward)
                if gone.done() or self.refusal is not None:
                    if not self._may_drain():
                        self.cut_reason = "nobody was to see the rest, and it was not waited for"
                        return
                elif forward:
                    await self._send({"type": "http.response.body", "body": forward, "more_body": True})
                left -= len(chunk)
                if left < 0:
                    self.cut_reason = "more bytes than the output that was asked for can have"
                    return
                if time.monotonic() > ends:
                    self.cut_reason = f"longer than {permitted.route.total_timeout} s"
                    return
            rest = self.meter.finish()
            if translator is not None:
                rest = translator.feed(rest)
            if inspector is not None and rest:
                rest = await self._inspected(rest)
            if claim is not None:
                claim.add(rest)
            if cache is not None:
                cache.add(rest)
            if kept is not None:
                kept.add(rest)
            if rest and not gone.done():
                await self._send({"type": "http.response.body", "body": rest, "more_body": True})
        except UpstreamCut as cut:
            self.cut_reason = cut.reason
        except StreamTooLarge as large:
            self.cut_reason = str(large)
        if not self.meter.completed and not self.cut_reason and self.meter.error is None:
            self.cut_reason = "the stream ended without its last event"

    async def _inspected(self, events: bytes) -> bytes:
        """The events as the data boundary lets them through. Where it stops the stream, the client is told at once;
        what the provider still produces is read for its usage, as it is when a client has left.
        """
        if self.refusal is not None:
            return b""
        assert self.inspector is not None
        try:
            return self.inspector.feed(events)
        except Refusal as refusal:
            self.refusal = refusal
        if self.call.claim is not None:
            self.call.claim.is_abandoned = True
        if not self._gone.done():
            said = mid_stream_error(self.call, self.refusal)
            await self._send({"type": "http.response.body", "body": said, "more_body": True})
        return b""

    def _may_drain(self) -> bool:
        process = self.call.process
        if not self._draining:
            if process.drains >= settings.GATEWAY_MAX_DRAINS:
                metrics.observe_drain("refused")
                return False
            process.drains += 1
            self._draining = True
            self._drain_until = time.monotonic() + settings.GATEWAY_DRAIN_SECONDS
        return time.monotonic() < self._drain_until

    async def _account(self) -> None:
        meter, attempt = self.meter, self.attempt
        attempt.duration_ms = round((time.monotonic() - self.call.began) * 1000)
        gone = self.client_is_gone
        outcome = "client_gone" if gone else "ok"
        if self.cut_reason or meter.error is not None:
            attempt.outcome = "cut" if self.cut_reason else "provider_error"
            attempt.error = self.cut_reason or str(meter.error)[:300]
            outcome = "client_gone" if gone else "cut"
        self._ending = await self._last_words()
        refusal = self.refusal
        if refusal is not None:
            outcome = "refused"
        if self.call.claim is not None:
            self.call.claim.add(self._ending)
            self.call.claim.content_type = "text/event-stream; charset=utf-8"
        if self.call.kept is not None:
            self.call.kept.add(self._ending)
        reported = Reported(
            raw_usage=meter.usage,
            model=meter.model,
            service_tier=meter.service_tier,
            response_id=meter.response_id,
            output_characters=meter.output_characters,
            # One that ended as it should and told no usage is whole, and its silence is an anomaly.
            partial=not meter.usage_is_final and not (meter.completed and meter.usage is None),
            drained=self._draining or gone,
        )
        metered = await self.call.consumed(
            attempt,
            reported,
            status=200,
            outcome=outcome,
            error_code=refusal.code if refusal else "",
            said=refusal.message if refusal else "",
        )
        if (cache := self.call.cache) is not None and outcome == "ok" and self._is_whole():
            cache.add_end_of_stream(self._ending)
            caching.keep(self.call, cache, attempt, reported, metered)

    def _is_whole(self) -> bool:
        is_final = (
            self.call.request.endpoint is not Endpoint.RESPONSES or self.meter.finish_reason == "completed"
        )
        return self.meter.completed and is_final

    async def _end(self) -> None:
        if self.client_is_gone:
            return
        await self._send({"type": "http.response.body", "body": self._ending, "more_body": False})

    def _notes(self) -> Pairs:
        if self.translator is None or self.call.request.dialect != "anthropic":
            return []
        return [(b"x-lockstep-estimated", b"message_start.message.usage.input_tokens")]

    async def _last_words(self) -> bytes:
        """How the stream ends for its reader."""
        held = self.meter.take_terminal()
        if self.translator is not None:
            held = self.translator.feed(held)
        broken = bool(self.cut_reason) and not self.meter.completed
        if self.inspector is not None:
            held = await self._inspected(held)
            if self.refusal is not None:
                return b""
            if broken:
                held += self.inspector.finish()
        return held + mid_stream_error(self.call, _BROKE_OFF) if broken else held


_BROKE_OFF = Refusal(
    Kind.UPSTREAM, "stream_interrupted", "The provider's stream broke off. What came so far has been charged."
)


def mid_stream_error(call: Call, refusal: Refusal) -> bytes:
    """How an open stream says that it ends badly: an event that each SDK raises on."""
    document = refusal.document(call.request.dialect, str(call.log.id))
    if call.request.dialect == "anthropic":
        return b"event: error\ndata: " + orjson.dumps(document) + b"\n\n"
    if call.request.endpoint is Endpoint.RESPONSES:
        event = {
            "type": "error",
            "code": refusal.code,
            "message": refusal.message,
            "param": None,
            "sequence_number": 0,
        }
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
    return b"data: " + orjson.dumps(document) + b"\n\n"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def relay(call: Call, answer: Answer, attempt: AttemptLog, send: Send, receive: Receive) -> None:
    """Relay one stream from head to end."""
    await Relay(call, answer, attempt, send, receive).run()
