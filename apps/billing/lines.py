"""The lines of one invoice from what it is made of: fees, usage, late usage, what was carried, credit.
Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from apps import money
from apps.ai_usage.types import QuantityClass, UsageSum
from apps.billing.allocation import allocate, from_minor, sum_exact
from apps.billing.proration import Fee
from apps.billing.types import LineItem, LineKind

_CLASS_WORDS = {
    QuantityClass.INPUT: "input tokens",
    QuantityClass.CACHE_READ: "input tokens read from cache",
    QuantityClass.CACHE_WRITE_5M: "input tokens written to cache (5 minutes)",
    QuantityClass.CACHE_WRITE_1H: "input tokens written to cache (1 hour)",
    QuantityClass.AUDIO_INPUT: "audio input tokens",
    QuantityClass.IMAGE_INPUT: "image input tokens",
    QuantityClass.OUTPUT: "output tokens",
    QuantityClass.AUDIO_OUTPUT: "audio output tokens",
    QuantityClass.REQUESTS: "tool requests",
    QuantityClass.REASONING: "reasoning tokens",
}


@dataclass(frozen=True, slots=True)
class LateSums:
    """Usage of one earlier, closed period that this invoice bills."""

    starts_at: datetime
    ends_at: datetime
    sums: Sequence[UsageSum]


@dataclass(frozen=True, slots=True)
class Billed:
    """An invoice's lines and what they come to. `subtotal` - `total_minor` is `carried_out`, exactly."""

    lines: tuple[LineItem, ...]
    subtotal: Decimal
    total_minor: int
    carried_out: Decimal
    credit_used: int


def bill(
    *,
    currency: str,
    starts_at: datetime,
    ends_at: datetime,
    fees: Iterable[Fee] = (),
    usage: Iterable[UsageSum] = (),
    late: Iterable[LateSums] = (),
    carried_in: Decimal = money.ZERO,
    credit: int = 0,
    prices: Mapping[UUID, Decimal],
) -> Billed:
    """Put an invoice together. The sum of the exact amounts is rounded once, and the lines share the
    result."""
    usage, late = list(usage), list(late)
    for one in (*usage, *(one for earlier in late for one in earlier.sums)):
        if one.currency != currency:
            raise money.CurrencyMismatch(
                f"Usage of {one.model} in {one.currency} cannot be on an invoice in {currency}."
            )
    lines = [_fee_line(fee) for fee in fees if fee.amount]
    lines += [_usage_line(one, LineKind.USAGE, starts_at, ends_at, prices) for one in usage]
    for earlier in late:
        lines += [
            _usage_line(one, LineKind.ADJUSTMENT, earlier.starts_at, earlier.ends_at, prices)
            for one in earlier.sums
        ]
    carry = LineItem(0, LineKind.CARRY, "Carried from the invoice before", starts_at, starts_at, money.ZERO)
    if carried_in:
        lines.append(replace(carry, amount=carried_in))
    owed = sum_exact([line.amount for line in lines])
    if owed < 0:
        # An invoice asks for nothing less than nothing: what it owes the tenant goes on to the next one.
        lines.append(
            replace(
                carry,
                description="Carried to the next invoice",
                starts_at=ends_at,
                ends_at=ends_at,
                amount=money.EXACT.minus(owed),
            )
        )
    shares = allocate([line.amount for line in lines], currency)
    lines = [replace(line, amount_minor=share) for line, share in zip(lines, shares.shares, strict=True)]
    used = max(0, min(credit, shares.total_minor))
    if used:
        lines.append(
            LineItem(
                0,
                LineKind.CREDIT,
                "Credit",
                starts_at,
                ends_at,
                amount=from_minor(-used, currency),
                amount_minor=-used,
            )
        )
    return Billed(
        lines=tuple(replace(line, position=place) for place, line in enumerate(lines, start=1)),
        subtotal=sum_exact([line.amount for line in lines]),
        total_minor=shares.total_minor - used,
        carried_out=owed if owed < 0 else shares.remainder,
        credit_used=used,
    )


def _fee_line(fee: Fee) -> LineItem:
    part = "" if fee.whole else f", {fee.starts_at:%-d %b %H:%M} to {fee.ends_at:%-d %b %H:%M} UTC"
    return LineItem(0, LineKind.FEE, f"Plan {fee.plan}{part}", fee.starts_at, fee.ends_at, fee.amount)


def _usage_line(
    one: UsageSum, kind: LineKind, starts_at: datetime, ends_at: datetime, prices: Mapping[UUID, Decimal]
) -> LineItem:
    words = _CLASS_WORDS[QuantityClass(one.quantity_class)]
    late = f", late usage of {starts_at:%B %Y}" if kind is LineKind.ADJUSTMENT else ""
    return LineItem(
        position=0,
        kind=kind,
        description=f"{one.model}: {words}{late}",
        starts_at=starts_at,
        ends_at=ends_at,
        amount=one.price,
        model=one.model,
        quantity_class=one.quantity_class,
        price_id=one.price_id,
        quantity=one.quantity,
        price_per_million=prices.get(one.price_id),
    )
