"""What a monthly fee comes to for a part of a month. Pure.

From a to b within a period of length T, a fee of P costs R(P·b/T) - R(P·a/T), with R rounding to the twelfth
decimal. So the parts of one price always add up to the price, however often the month was cut.
"""

import decimal
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from apps import money

_MICROSECOND = timedelta(microseconds=1)
_STEP = Decimal(1).scaleb(-money.AMOUNT_DECIMALS)
_WIDE = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One plan at one price over one half-open stretch of time."""

    plan: str
    price_per_month: Decimal
    starts_at: datetime
    ends_at: datetime | None = None  # None: still running


@dataclass(frozen=True, slots=True)
class Fee:
    """What one stretch costs within a period."""

    plan: str
    starts_at: datetime
    ends_at: datetime
    amount: Decimal
    whole: bool  # the full month


def fees(
    stretches: Iterable[Stretch],
    starts_at: datetime,
    ends_at: datetime,
    *,
    month: tuple[datetime, datetime] | None = None,
) -> list[Fee]:
    """The fees of a period: each stretch's share, neighbours of one plan and price as one.

    `month` is what the price is for, where the period is only a part of it: that of a tenant that leaves.
    """
    whole = month or (starts_at, ends_at)
    found: list[Fee] = []
    for stretch in _joined(sorted(stretches, key=lambda one: one.starts_at)):
        first = max(stretch.starts_at, starts_at)
        last = ends_at if stretch.ends_at is None else min(stretch.ends_at, ends_at)
        if last <= first:
            continue
        amount = share(stretch.price_per_month, first, last, *whole)
        found.append(Fee(stretch.plan, first, last, amount, whole=(first, last) == whole))
    return found


def share(price: Decimal, first: datetime, last: datetime, starts_at: datetime, ends_at: datetime) -> Decimal:
    """What [first, last) costs of a price for [starts_at, ends_at)."""
    whole = (ends_at - starts_at) // _MICROSECOND

    def until(moment: datetime) -> Decimal:
        passed = (moment - starts_at) // _MICROSECOND
        return _WIDE.divide(_WIDE.multiply(price, Decimal(passed)), Decimal(whole)).quantize(
            _STEP, context=_WIDE
        )

    return money.EXACT.subtract(until(last), until(first))


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for stretch in stretches:
        before = joined[-1] if joined else None
        if (
            before is not None
            and before.ends_at == stretch.starts_at
            and (before.plan, before.price_per_month) == (stretch.plan, stretch.price_per_month)
        ):
            joined[-1] = Stretch(before.plan, before.price_per_month, before.starts_at, stretch.ends_at)
        else:
            joined.append(stretch)
    return joined
