"""An invoice's exact lines as whole minor units that add up to its total. Pure; the only rounding of
invoices."""

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps import money

_ROUND = decimal.Context(prec=80, rounding=decimal.ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Allocation:
    """`total_minor` is the rounded sum of the lines, `shares` each line's part of it, `remainder` what
    rounding left."""

    total_minor: int
    shares: tuple[int, ...]
    remainder: Decimal  # exact sum - total, in major units; at most half a minor unit either way


def allocate(amounts: Sequence[Decimal], currency: str) -> Allocation:
    """Round the sum half up once, then give each line its floor and the rest by the largest remainder.

    So no line differs from its exact amount by a whole minor unit, and the lines always add up.
    """
    digits = money.minor_digits(currency)
    scaled = [amount.scaleb(digits, money.EXACT) for amount in amounts]
    exact = sum_exact(scaled)
    total = to_minor(sum_exact(amounts), currency)
    floors = [int(amount.to_integral_value(decimal.ROUND_FLOOR)) for amount in scaled]
    missing = total - sum(floors)
    # The larger remainder first; among equals the earlier line, so that the same lines always give the same
    # cents.
    by_remainder = sorted(range(len(scaled)), key=lambda place: (floors[place] - scaled[place], place))
    for place in by_remainder[:missing]:
        floors[place] += 1
    remainder = money.EXACT.subtract(exact, Decimal(total)).scaleb(-digits, money.EXACT)
    return Allocation(total, tuple(floors), remainder)


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in whole minor units, rounded half up; below zero in mirror image, so that a charge and its
    reversal cancel."""
    scaled = amount.scaleb(money.minor_digits(currency), money.EXACT)
    return int(scaled.quantize(Decimal(1), rounding=decimal.ROUND_HALF_UP, context=_ROUND))


def from_minor(minor: int, currency: str) -> Decimal:
    """Minor units as an exact amount."""
    return Decimal(minor).scaleb(-money.minor_digits(currency), money.EXACT)


def sum_exact(amounts: Sequence[Decimal]) -> Decimal:
    """A sum that raises rather than round."""
    total = money.ZERO
    for amount in amounts:
        total = money.EXACT.add(total, amount)
    return total
