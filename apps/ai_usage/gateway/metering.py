"""From what a provider said, or did not say, to the rows of the ledger."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from apps import money
from apps.ai_usage import bodies, normalise
from apps.ai_usage.answers import ResponseUsage
from apps.ai_usage.gateway.callers import Caller
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.gateway.rules import Permitted
from apps.ai_usage.ledger.records import Record
from apps.ai_usage.normalise import UsageSource
from apps.ai_usage.price_book import Served
from apps.ai_usage.pricing import Rated, build_price, rate_after_call
from apps.ai_usage.tariffs import Unpriced
from apps.ai_usage.types import Target


@dataclass(slots=True)
class Reported:
    """What one attempt's answer said of its consumption."""

    raw_usage: dict[str, Any] | None = None
    model: str | None = None
    service_tier: str | None = None
    response_id: str | None = None
    output_characters: int = 0
    # The stream or body broke off before the provider's last word.
    partial: bool = False
    # The client had gone before the usage was known.
    drained: bool = False


@dataclass(slots=True)
class AttemptLog:
    """One try, as it will stand in the ledger."""

    id: UUID
    target: Target
    started_at: datetime
    waited_ms: int = 0
    status: int | None = None
    outcome: str = ""
    error: str = ""
    duration_ms: int = 0
    first_byte_ms: int | None = None
    provider_request_id: str = ""
    # The answer in the client's dialect, where the target speaks another.
    shown: bytes | None = None
    # What a whole answer said of its consumption, once it was read.
    said: ResponseUsage | None = None

    def row(self, call_id: UUID, number: int) -> dict[str, Any]:
        """The attempt's row."""
        return {
            "id": self.id,
            "call_id": call_id,
            "number": number,
            "provider": self.target.provider,
            "model": self.target.model,
            "started_at": self.started_at,
            "status": self.status,
            "outcome": self.outcome,
            "error": self.error[:300],
            "waited_ms": self.waited_ms,
            "duration_ms": self.duration_ms,
            "first_byte_ms": self.first_byte_ms,
            "provider_request_id": self.provider_request_id[:120],
        }


@dataclass(slots=True)
class CallLog:
    """One call from its arrival to its row."""

    id: UUID
    started_at: datetime
    endpoint: str
    model: str = ""
    stream: bool = False
    attempts: list[AttemptLog] = field(default_factory=list)
    first_byte_ms: int | None = None
    explanation: dict[str, Any] = field(default_factory=dict)

    def record(
        self,
        caller: Caller,
        *,
        status: int,
        outcome: str,
        duration_ms: int,
        error_code: str = "",
        event: dict[str, Any] | None = None,
    ) -> Record:
        """Everything this call leaves behind."""
        principal = caller.key.principal
        last = self.attempts[-1].target if self.attempts else None
        call: dict[str, Any] = {
            "id": self.id,
            "started_at": self.started_at,
            "key_id": principal.key_id,
            "owner_kind": principal.owner_kind.value,
            "owner_id": principal.owner_id,
            "environment": principal.environment.value,
            "endpoint": self.endpoint,
            "model": self.model,
            "stream": self.stream,
            "status": status,
            "outcome": outcome,
            "error_code": error_code[:60],
            "duration_ms": duration_ms,
            "first_byte_ms": self.first_byte_ms,
            "attempts": len(self.attempts),
            "provider": event["provider"] if event else (last.provider if last else ""),
            "served_model": event["served_model"] if event else (last.model if last else ""),
            "input_tokens": event["input_tokens"] if event else 0,
            "output_tokens": event["output_tokens"] if event else 0,
            "cost": event["cost"] if event else "0",
            "price": event["price"] if event else "0",
            "currency": event["currency"] if event else caller.snapshot.entitlements.currency,
            "usage_source": event["usage_source"] if event else "",
            "tags": dict(principal.tags),
            "explanation": self.explanation,
        }
        attempts = [attempt.row(self.id, number) for number, attempt in enumerate(self.attempts, start=1)]
        return Record(caller.snapshot.tenant, call, attempts, [event] if event else [])


@dataclass(frozen=True, slots=True)
class Metered:
    """An attempt's consumption, priced: its event's row, and what settlement needs."""

    event: dict[str, Any]
    rated: Rated
    total_tokens: int
    output_tokens: int


def meter(
    caller: Caller,
    request: ModelRequest,
    permitted: Permitted,
    call: CallLog,
    attempt: AttemptLog,
    reported: Reported,
    admitted_at_ms: int,
) -> Metered:
    """Normalise and price one attempt's consumption by the rows in force when the call was admitted."""
    at = datetime.fromtimestamp(admitted_at_ms / 1000, UTC)
    fallback = normalise.estimate(
        request_bytes=len(request.body),
        output_characters=reported.output_characters,
        remote_media=bodies.remote_media(request.body) if reported.raw_usage is None else 0,
    )
    target = attempt.target
    usage = normalise.normalise(
        target.dialect,
        request.endpoint_at(target.dialect),
        reported.raw_usage,
        fallback=fallback,
        served_model=reported.model,
        service_tier=reported.service_tier,
        partial=reported.partial,
    )
    if usage.quantities.total_output > permitted.output_tokens > 0:
        usage = _within(usage, request, permitted.output_tokens)
    try:
        served = caller.snapshot.book.tariff_served(
            target.provider,
            target.model,
            usage.served_model,
            at,
            service_tier=usage.service_tier,
            mode=usage.mode,
            region=usage.region,
        )
    except Unpriced:
        # Its prices ended between the look and the admission. It was permitted on these, so these it is.
        own = [tariff for tariff in permitted.tariffs if tariff.key.provider == target.provider]
        served = Served(own[0] if own else permitted.tariffs[0], "unpriced_model")
    rated = rate_after_call(
        served.tariff,
        usage.quantities,
        at_safe_rate=usage.at_safe_rate,
        anomaly=usage.anomaly or served.anomaly,
    )
    source = usage.source
    if reported.drained and source is UsageSource.PROVIDER:
        source = UsageSource.DRAINED
    principal = caller.key.principal
    quantities = usage.quantities
    event = {
        "id": attempt.id,
        "call_id": call.id,
        "kind": "usage",
        "corrects": None,
        "occurred_at": at,
        "key_id": principal.key_id,
        "owner_kind": principal.owner_kind.value,
        "owner_id": principal.owner_id,
        "environment": principal.environment.value,
        "model": call.model,
        "provider": target.provider,
        "served_model": (usage.served_model or target.model)[:120],
        "input_tokens": quantities.total_input,
        "output_tokens": quantities.total_output,
        "lines": [line.as_dict() for line in rated.lines],
        "cost": money.text_from_pico(rated.cost_pico),
        "price": money.text_from_pico(rated.price_pico),
        "currency": rated.currency,
        "price_list": caller.snapshot.entitlements.price_list,
        "usage_source": source.value,
        "anomaly": (rated.anomaly or "")[:60],
        "raw_usage": reported.raw_usage,
        "provider_request_id": (attempt.provider_request_id or reported.response_id or "")[:120],
    }
    return Metered(event, rated, quantities.total_input + quantities.total_output, quantities.total_output)


def _within(usage: normalise.NormalisedUsage, request: ModelRequest, most: int) -> normalise.NormalisedUsage:
    """More output than the call could have is marked, and not charged for where no way of counting explains it.

    Some providers' limits do not bound their reasoning, so a count somewhat above the limit stands as it was told.
    """
    is_guess = usage.source is UsageSource.ESTIMATED
    if not is_guess and bodies.output_asked(request.endpoint, request.parsed) is None:
        return usage
    beyond = replace(usage, anomaly=usage.anomaly or "output_beyond_limit")
    if not is_guess and usage.quantities.total_output <= 10 * most + 10_000:
        return beyond
    quantities = usage.quantities._replace(output=most, audio_output=0, reasoning=0)
    return replace(beyond, quantities=quantities, source=UsageSource.ESTIMATED)


FROM_CACHE = "cache"


def from_cache(metered: Metered, event_id: UUID, percent: int) -> Metered:
    """The same consumption of a call that was answered from memory: no cost, and a share of the price.

    The share is taken of each rate, which is rounded once as every price is, so that amounts stay exact. The lines
    have price ids of their own, so that an invoice shows them apart from those at the full price.
    """
    lines, price_pico = [], 0
    for line in metered.rated.lines:
        rate = build_price(line.rate.price_per_million, Decimal(percent) - 100)
        pico = line.quantity * money.rate_micro(rate)
        price_pico += pico
        price_id = line.rate.price_id or line.rate.id
        lines.append(
            line.as_dict()
            | {
                "price_id": str(uuid5(price_id, f"{FROM_CACHE}:{percent}")),
                "cost_per_million": "0",
                "price_per_million": str(rate),
                "cost": "0",
                "price": str(money.amount_from_pico(pico)),
            }
        )
    rated = replace(metered.rated, cost_pico=0, price_pico=price_pico)
    event = metered.event | {
        "id": event_id,
        "provider": FROM_CACHE,
        "lines": lines,
        "cost": "0",
        "price": str(rated.price),
        "usage_source": UsageSource.CACHE.value,
        "provider_request_id": "",
    }
    return replace(metered, event=event, rated=rated)


def at_no_price(event: dict[str, Any], anomaly: str) -> dict[str, Any]:
    """The same consumption as the operator's cost alone: of an answer that never reached the caller."""
    lines = [line | {"price": "0", "price_per_million": "0"} for line in event["lines"]]
    return event | {"lines": lines, "price": "0", "anomaly": f"lost:{anomaly}"[:60]}
