"""Rating: what quantities cost and what they sell for, exactly, from effective-dated rate rows.

A rate is an integer number of millionths per 1,000,000 units and a quantity is an integer, so a line is an
integer number of 10⁻¹² and a sum of lines never rounds. The one rounding here is `build_price`, when a price
row is made.
"""

import decimal
from collections.abc import Iterable, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from apps import money
from apps.ai_usage.price_book import PriceBook, Served
from apps.ai_usage.quantities import (
    DISJOINT_CLASSES,
    INPUT_CLASSES,
    OUTPUT_SIDE,
    Quantities,
    QuantityClass,
)
from apps.ai_usage.tariffs import (
    ANY_REGION,
    STANDARD_TIER,
    Band,
    CompiledRate,
    InvalidRates,
    Mode,
    Rate,
    Tariff,
    Unpriced,
)

__all__ = [
    "ANY_REGION",
    "STANDARD_TIER",
    "InvalidRates",
    "Line",
    "Mode",
    "PriceBook",
    "Rate",
    "Rated",
    "Served",
    "Tariff",
    "Unpriced",
    "build_price",
    "marked_up",
    "rate",
    "rate_after_call",
    "upper_bound",
    "upper_bound_pico",
]


class Line(NamedTuple):
    """One class of a rated call. The amounts are integers of 10⁻¹² until somebody asks."""

    rate: Rate
    quantity: int
    cost_pico: int
    price_pico: int

    @property
    def cost(self) -> Decimal:
        """What the provider charges for this line."""
        return money.amount_from_pico(self.cost_pico)

    @property
    def price(self) -> Decimal:
        """What the tenant is charged for this line."""
        return money.amount_from_pico(self.price_pico)

    def as_dict(self) -> dict[str, Any]:
        """The line as it is stored on the event: enough to repeat the arithmetic without the price book."""
        return {
            **self.rate.stored,
            "quantity": self.quantity,
            "cost": money.text_from_pico(self.cost_pico),
            "price": money.text_from_pico(self.price_pico),
        }


@dataclass(frozen=True, slots=True)
class Rated:
    """What a call cost and what it sells for, exactly, and which rows said so."""

    currency: str
    lines: tuple[Line, ...]
    cost_pico: int
    price_pico: int
    anomaly: str | None = None
    # Only after a call that had no rate for them: counted, not in the sums, waiting for an operator.
    unpriced: tuple[QuantityClass, ...] = ()

    @property
    def cost(self) -> Decimal:
        """The exact cost, with 12 decimals."""
        return money.amount_from_pico(self.cost_pico)

    @property
    def price(self) -> Decimal:
        """The exact price, with 12 decimals."""
        return money.amount_from_pico(self.price_pico)


def rate(tariff: Tariff, quantities: Quantities, *, at_safe_rate: bool = False) -> Rated:
    """Price quantities exactly. `Unpriced` names the class that has units but no rate.

    At the safe rate, all input is priced at the dearest input rate and all output at the dearest output rate:
    for usage whose split cannot be trusted, so that a provider's error never makes a call cheap by accident.
    """
    band = tariff.band(quantities.total_input)
    lines = _safe_lines(tariff, band, quantities) if at_safe_rate else _lines(tariff, band, quantities)
    return _rated(tariff, lines)


def rate_after_call(
    tariff: Tariff, quantities: Quantities, *, at_safe_rate: bool = False, anomaly: str | None = None
) -> Rated:
    """Price a call that has been made and so cannot be refused any more.

    A class without a rate is then priced at the safe rate; what has none at all (tool requests) is listed in
    `unpriced`. Both set `anomaly`, so that nothing is free in silence.
    """
    try:
        rated = rate(tariff, quantities, at_safe_rate=at_safe_rate)
        return rated if anomaly is None else replace(rated, anomaly=anomaly)
    except Unpriced as error:
        anomaly = anomaly or f"unpriced: {error.missing}"
    smallest = tariff.bands[0]
    band = tariff.band(quantities.total_input) if smallest.covers(quantities.total_input) else smallest
    any_token = band.dearest(DISJOINT_CLASSES[:-1])
    lines: list[Line] = []
    unpriced: list[QuantityClass] = []
    for count, row, name in (
        (quantities.total_input, band.dearest_input or any_token, QuantityClass.INPUT),
        (quantities.total_output, band.dearest_output or any_token, QuantityClass.OUTPUT),
        (quantities.requests, band.by_class.get(QuantityClass.REQUESTS), QuantityClass.REQUESTS),
    ):
        if count and row is None:
            unpriced.append(name)
        elif count and row is not None:
            lines.append(_line(row, count))
    return replace(_rated(tariff, lines), anomaly=anomaly, unpriced=tuple(unpriced))


def upper_bound(
    tariffs: Iterable[Tariff],
    input_tokens: int,
    max_output: int,
    *,
    requests: int = 0,
    input_classes: Set[QuantityClass] | None = None,
    of: Literal["cost", "price"] = "price",
) -> Decimal:
    """The most that a call can cost or sell for, over every target it may go to: what a reservation holds.

    `max_output` is for all choices together. `input_classes` narrows what the input can be (without
    `cache_control` in an Anthropic request nothing is written to a cache); None means anything. Raises
    `Unpriced` if some tariff could not price the call, since such a call must not be made.
    """
    return money.amount_from_pico(
        upper_bound_pico(tariffs, input_tokens, max_output, requests, input_classes, of)
    )


def upper_bound_pico(
    tariffs: Iterable[Tariff],
    input_tokens: int,
    max_output: int,
    requests: int = 0,
    input_classes: Set[QuantityClass] | None = None,
    of: Literal["cost", "price"] = "price",
) -> int:
    """`upper_bound` as an integer of 10⁻¹²; `money.nano_up_from_pico` makes it what Valkey counts in."""
    inputs = (
        INPUT_CLASSES if input_classes is None else [one for one in INPUT_CLASSES if one in input_classes]
    )
    sides = ((input_tokens, inputs), (max_output, OUTPUT_SIDE), (requests, (QuantityClass.REQUESTS,)))
    bounds = [
        sum(_bound(tariff, band, side, count, of) for count, side in sides if count)
        for tariff in tariffs
        for band in tariff.reachable(input_tokens)
    ]
    if not bounds:
        raise ValueError("An upper bound needs at least one tariff.")
    return max(bounds)


def build_price(cost_per_million: Decimal, markup_percent: Decimal) -> Decimal:
    """The selling rate for a cost: marked up, and rounded half up to 6 decimals, here and nowhere else."""
    if markup_percent < -100:
        raise money.NotExact(f"A markup of {markup_percent}% would make a price negative.")
    factor = money.EXACT.add(markup_percent, Decimal(100))
    exact = money.EXACT.scaleb(money.EXACT.multiply(money.parse_rate(cost_per_million), factor), -2)
    return exact.quantize(_RATE_STEP, rounding=decimal.ROUND_HALF_UP, context=_ROUNDING)


def marked_up(rates: Iterable[Rate], markup_percent: Decimal, *, price_id: UUID | None = None) -> list[Rate]:
    """The same rows sold at cost plus a percentage: a plan's price list."""
    return [
        replace(row, price_per_million=build_price(row.cost_per_million, markup_percent), price_id=price_id)
        for row in rates
    ]


_OUTPUT: Final = DISJOINT_CLASSES.index(QuantityClass.OUTPUT)
_RATE_STEP: Final = Decimal(1).scaleb(-money.RATE_DECIMALS)
_ROUNDING: Final = decimal.Context(prec=80)


def _line(row: CompiledRate, count: int) -> Line:
    return Line(row.rate, count, count * row.cost, count * row.price)


def _rated(tariff: Tariff, lines: list[Line]) -> Rated:
    cost = price = 0
    for line in lines:
        cost += line.cost_pico
        price += line.price_pico
    return Rated(tariff.currency, tuple(lines), cost, price)


def _lines(tariff: Tariff, band: Band, quantities: Quantities) -> list[Line]:
    counts = quantities.disjoint()
    reasoning = quantities.reasoning if band.reasoning is not None else 0
    if reasoning:
        counts = (*counts[:_OUTPUT], counts[_OUTPUT] - reasoning, *counts[_OUTPUT + 1 :])
    lines = []
    for count, row in zip(counts, band.ordered, strict=True):
        if count:
            if row is None:
                raise tariff.unpriced(_first_unpriced(counts, band))
            lines.append(Line(row.rate, count, count * row.cost, count * row.price))
    if reasoning and band.reasoning is not None:
        lines.append(_line(band.reasoning, reasoning))
    return lines


def _first_unpriced(counts: Iterable[int], band: Band) -> str:
    named = zip(DISJOINT_CLASSES, counts, band.ordered, strict=True)
    return next(str(name) for name, count, row in named if count and row is None)


def _safe_lines(tariff: Tariff, band: Band, quantities: Quantities) -> list[Line]:
    lines = []
    for count, row, name in (
        (quantities.total_input, band.dearest_input, QuantityClass.INPUT),
        (quantities.total_output, band.dearest_output, QuantityClass.OUTPUT),
        (quantities.requests, band.by_class.get(QuantityClass.REQUESTS), QuantityClass.REQUESTS),
    ):
        if not count:
            continue
        if row is None:
            raise tariff.unpriced(str(name))
        lines.append(_line(row, count))
    return lines


def _bound(
    tariff: Tariff, band: Band, side: Iterable[QuantityClass], count: int, of: Literal["cost", "price"]
) -> int:
    # The usual questions are answered when the tariff is compiled.
    if of == "price" and side is INPUT_CLASSES:
        row = band.dearest_input
    elif of == "price" and side is OUTPUT_SIDE:
        row = band.dearest_output
    else:
        row = band.dearest(side, of)
    if row is None:
        raise tariff.unpriced(" or ".join(side))
    return count * (row.cost if of == "cost" else row.price)
