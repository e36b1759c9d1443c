"""The list of calls, in pages by position, and one call with everything that came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.ai_usage.errors import CallNotFound
from apps.ai_usage.explanation import read_explanation
from apps.ai_usage.insight.types import (
    AttemptRecord,
    CallDetail,
    CallFilter,
    CallRecord,
    UsageLine,
    UsageRecord,
)
from apps.ai_usage.models import Attempt, Call, UsageEvent

_CALL_FIELDS = [field.name for field in fields_of(CallRecord)]
_ATTEMPT_FIELDS = [field.name for field in fields_of(AttemptRecord)]
_ANY: Final = CallFilter()


@dataclass(frozen=True, slots=True)
class CallOrder:
    """By which column calls are listed. Ids settle what is equal, so that every call has one place."""

    column: str = "started_at"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class CallPosition:
    """A place in the list: a call's value of the ordering column, and its id."""

    value: Any
    id: UUID


NEWEST_FIRST: Final = CallOrder()


def calls(
    only: CallFilter = _ANY,
    *,
    order: CallOrder = NEWEST_FIRST,
    beyond: CallPosition | None = None,
    backwards: bool = False,
    limit: int = 50,
) -> list[CallRecord]:
    """Calls in order, beyond a position; `backwards` gives those just before it, still in order."""
    descending = order.descending != backwards
    rows = _matching(only)
    if beyond is not None:
        rows = _beyond(rows, order.column, beyond, descending)
    sign = "-" if descending else ""
    found = [
        CallRecord(*row)
        for row in rows.order_by(f"{sign}{order.column}", f"{sign}id").values_list(*_CALL_FIELDS)[:limit]
    ]
    return found[::-1] if backwards else found


def position_of(call: CallRecord, order: CallOrder = NEWEST_FIRST) -> CallPosition:
    """Where a call stands in an order."""
    return CallPosition(getattr(call, order.column), call.id)


def any_calls() -> bool:
    """Whether the tenant in force has ever called."""
    return Call.objects.exists()


def call_detail(call_id: UUID) -> CallDetail:
    """One call of the tenant in force; CallNotFound for any other id."""
    row = Call.objects.filter(pk=call_id).values_list(*_CALL_FIELDS, "explanation").first()
    if row is None:
        raise CallNotFound
    attempts = (
        Attempt.objects.filter(call_id=call_id).order_by("number", "started_at").values_list(*_ATTEMPT_FIELDS)
    )
    # Not the cost, and not the provider's own words, which may hold one too.
    events = (
        UsageEvent.objects.filter(call_id=call_id).order_by("occurred_at", "id").defer("cost", "raw_usage")
    )
    return CallDetail(
        call=CallRecord(*row[:-1]),
        attempts=tuple(AttemptRecord(*attempt) for attempt in attempts),
        usage=tuple(_usage(event) for event in events),
        explanation=read_explanation(row[-1]),
    )


def _matching(only: CallFilter) -> QuerySet[Call]:
    exact: dict[str, Any] = {
        "model": only.model,
        "key_id": only.key_id,
        "owner_id": only.owner_id,
        "outcome": only.outcome,
        "environment": only.environment,
        "started_at__gte": only.starts_at,
        "started_at__lt": only.ends_at,
    }
    return Call.objects.filter(**{name: value for name, value in exact.items() if value})


def _beyond(rows: QuerySet[Call], column: str, position: CallPosition, descending: bool) -> QuerySet[Call]:
    word = "lt" if descending else "gt"
    # The bound on the column alone is what an index can begin at.
    rows = rows.filter(**{f"{column}__{word}e": position.value})
    return rows.filter(
        Q(**{f"{column}__{word}": position.value}) | Q(**{column: position.value, f"id__{word}": position.id})
    )


def _usage(event: UsageEvent) -> UsageRecord:
    return UsageRecord(
        id=event.id,
        kind=event.kind,
        occurred_at=event.occurred_at,
        provider=event.provider,
        served_model=event.served_model,
        usage_source=event.usage_source,
        anomaly=event.anomaly,
        price=event.price,
        currency=event.currency,
        lines=tuple(_line(line) for line in event.lines),
    )


def _line(stored: Mapping[str, Any]) -> UsageLine:
    """A stored line without what the operator pays for it."""
    per_million, price_id, rate_id = (
        stored.get(name) for name in ("price_per_million", "price_id", "rate_id")
    )
    return UsageLine(
        quantity_class=stored["class"],
        quantity=stored["quantity"],
        price_per_million=None if per_million is None else Decimal(per_million),
        price=Decimal(stored["price"]),
        price_id=UUID(price_id) if price_id else None,
        rate_id=UUID(rate_id) if rate_id else None,
    )


def parse_position(column: str, value: str, call_id: str) -> CallPosition:
    """A position from its written form; ValueError where it is none."""
    kind = type_of(column)
    parsed: Any = datetime.fromisoformat(value) if kind is datetime else kind(value)
    return CallPosition(parsed, UUID(call_id))


def type_of(column: str) -> type:
    """What kind of values an ordering column has."""
    return {"started_at": datetime, "price": Decimal, "model": str}.get(column, int)
