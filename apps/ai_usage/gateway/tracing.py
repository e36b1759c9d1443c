"""OpenTelemetry spans of calls and their attempts, made of what the ledger records once a call has ended.

They say what was asked of whom, how long it took and what it came to, after the GenAI conventions; never what was
said. Only names from the catalogue, our own codes and numbers are in them: nothing that a client or a provider wrote.
Export runs in a thread of its own with a bounded queue; a collector that is away costs spans and nothing else.
"""

import logging
import re
import threading
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apps.ai_usage import bodies
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.metering import AttemptLog
from apps.ai_usage.ledger.records import Record
from apps.ai_usage.normalise import Endpoint

log = logging.getLogger(__name__)

_EXPORT_SECONDS = 5
_OPERATIONS = {Endpoint.EMBEDDINGS.value: "embeddings"}  # the others are chats
_CACHE_CLASSES = {
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_5m": "gen_ai.usage.cache_creation.input_tokens",
    "cache_write_1h": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
}
# What a provider calls a model or an answer; anything else that it writes there is not passed on.
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,119}\Z")
_propagator = TraceContextTextMapPropagator()

Attributes = dict[str, str | bool | int | float]


class Tracing:
    """Makes the spans of one process. `stop` sends what waits, within bounds."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("lockstep.gateway")

    def ended(self, call: Call, record: Record) -> None:
        """One span for a call that was recorded, and one inside for each attempt. Never raises."""
        try:
            self._span(call, record)
        except Exception:
            log.exception("the spans of a call could not be made", extra={"call_id": str(call.log.id)})

    def stop(self) -> None:
        """Send what waits and end; blocks for a few seconds at most, so call it in a thread."""
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(_EXPORT_SECONDS)

    def _span(self, call: Call, record: Record) -> None:
        row = record.call
        began = call.log.started_at
        operation = _OPERATIONS.get(row["endpoint"], "chat")
        # A name that is in no catalogue is the client's own words.
        model = row["model"] if call.permitted is not None else ""
        context, links = _of_client(call.request.headers)
        span = self._tracer.start_span(
            f"{operation} {model}".strip(),
            context=context,
            kind=SpanKind.SERVER,
            links=links,
            start_time=_nanoseconds(began),
            attributes=_of_call(call, record, operation, model),
        )
        ends = _nanoseconds(began) + row["duration_ms"] * 1_000_000
        if not span.is_recording():
            span.end(ends)
            return
        inside = trace.set_span_in_context(span, Context())
        answered = call.log.attempts[-1] if row["usage_source"] and call.log.attempts else None
        for number, attempt in enumerate(call.log.attempts, start=1):
            said = _of_answer(call, record) if attempt is answered else {}
            self._attempt(inside, operation, attempt, number, said, ends)
        if row["error_code"]:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ends)

    def _attempt(
        self,
        inside: Context,
        operation: str,
        attempt: AttemptLog,
        number: int,
        said: Attributes,
        ends: int,
    ) -> None:
        target, begins = attempt.target, _nanoseconds(attempt.started_at)
        address = urlsplit(target.base_url)
        attributes: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": target.provider,
            "gen_ai.request.model": target.model,
            "lockstep.attempt.number": number,
            "lockstep.attempt.outcome": attempt.outcome,
            "lockstep.attempt.waited_ms": attempt.waited_ms,
            **said,
        }
        if address.hostname:
            attributes["server.address"] = address.hostname
            attributes["server.port"] = address.port or (443 if address.scheme == "https" else 80)
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        span = self._tracer.start_span(
            f"{operation} {target.model}",
            context=inside,
            kind=SpanKind.CLIENT,
            start_time=begins,
            attributes=attributes,
        )
        if attempt.outcome != "ok":
            span.set_attribute("error.type", attempt.outcome or "unknown")
            span.set_status(Status(StatusCode.ERROR))
        span.end(max(begins, min(begins + attempt.duration_ms * 1_000_000, ends)))


def start() -> Tracing | None:
    """This process's tracing; None where no collector is named."""
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
    if not endpoint:
        return None
    exporter = OTLPSpanExporter(
        endpoint=endpoint.rstrip("/") + "/v1/traces",
        headers=_headers(settings.OTEL_EXPORTER_OTLP_HEADERS),
        timeout=_EXPORT_SECONDS,
    )
    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME}), shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=settings.TRACES_MOST_WAITING,
            schedule_delay_millis=1000,
            max_export_batch_size=min(512, settings.TRACES_MOST_WAITING),
        )
    )
    return Tracing(provider)


def _headers(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _of_client(headers: Mapping[bytes, bytes]) -> tuple[Context, list[Link]]:
    given = headers.get(b"traceparent")
    nothing = Context()
    if given is None or settings.TRACEPARENT_OF_CLIENTS not in ("link", "parent"):
        return nothing, []
    carrier = {"traceparent": given.decode("latin-1")}
    theirs = trace.get_current_span(_propagator.extract(carrier, nothing)).get_span_context()
    if not theirs.is_valid:
        return nothing, []
    # Without the `tracestate`, which holds whatever its writer wants.
    theirs = SpanContext(theirs.trace_id, theirs.span_id, is_remote=True, trace_flags=theirs.trace_flags)
    if settings.TRACEPARENT_OF_CLIENTS == "parent":
        return trace.set_span_in_context(NonRecordingSpan(theirs), nothing), []
    return nothing, [Link(theirs)]


def _of_call(call: Call, record: Record, operation: str, model: str) -> Attributes:
    row, caller = record.call, call.caller
    assert caller is not None
    said: Attributes = {
        "gen_ai.operation.name": operation,
        "http.response.status_code": row["status"],
        "lockstep.call.id": str(call.log.id),
        "lockstep.tenant.ref": record.tenant.ref,
        "lockstep.tenant.slug": record.tenant.slug,
        "lockstep.key.id": str(row["key_id"]),
        "lockstep.environment": row["environment"],
        "lockstep.endpoint": row["endpoint"],
        "lockstep.outcome": row["outcome"],
        "lockstep.attempts": row["attempts"],
    }
    if model:
        said["gen_ai.request.model"] = model
        said["gen_ai.request.stream"] = call.request.stream
        asked = bodies.output_asked(call.request.endpoint, call.request.parsed)
        if asked is not None and asked < 2**63:
            said["gen_ai.request.max_tokens"] = asked
    if row["provider"]:
        said["gen_ai.provider.name"] = row["provider"]
    if row["first_byte_ms"] is not None:
        said["gen_ai.response.time_to_first_chunk"] = row["first_byte_ms"] / 1000
    if row["error_code"]:
        said["error.type"] = row["error_code"]
        if row["outcome"] == "refused":
            said["lockstep.refusal.code"] = row["error_code"]
    if call.cache is not None:
        said["lockstep.cache"] = call.cache.state.decode()
    if row["usage_source"]:
        # Exact amounts are decimals, which attributes do not have.
        said |= _of_answer(call, record)
        said |= {
            "lockstep.cost": row["cost"],
            "lockstep.price": row["price"],
            "lockstep.currency": row["currency"],
            "lockstep.usage.source": row["usage_source"],
        }
    return said


def _of_answer(call: Call, record: Record) -> Attributes:
    event = record.events[0]
    said: Attributes = {
        "gen_ai.usage.input_tokens": event["input_tokens"],
        "gen_ai.usage.output_tokens": event["output_tokens"],
    }
    named = {"gen_ai.response.model": event["served_model"], "gen_ai.response.id": call.response_id}
    said.update({name: given for name, given in named.items() if given and _IDENTIFIER.match(given)})
    for line in event["lines"]:
        name = _CACHE_CLASSES.get(line["class"])
        if name is not None:
            said[name] = int(said.get(name, 0)) + line["quantity"]
    return said


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
