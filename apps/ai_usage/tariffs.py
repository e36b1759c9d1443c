"""Rate rows, and the tariff that those of one model, tier, mode and region are compiled into."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, NamedTuple
from uuid import UUID

from apps import money
from apps.ai_usage.quantities import DISJOINT_CLASSES, INPUT_CLASSES, OUTPUT_SIDE, QuantityClass
from apps.errors import DomainError

STANDARD_TIER: Final = "default"  # what OpenAI calls it; Anthropic's "standard" is the same
ANY_REGION: Final = ""


class Mode(StrEnum):
    """How the provider was asked: answered at once, or in a batch at its own time."""

    REALTIME = "realtime"
    BATCH = "batch"


class Unpriced(DomainError):
    """There is no rate for something that was, or would be, consumed. Never the same as a rate of 0."""

    status = 403
    code = "model_unpriced"

    def __init__(self, provider: str, model: str, missing: str) -> None:
        self.provider = provider
        self.model = model
        self.missing = missing
        super().__init__(
            f"{model} at {provider} has no price for {missing}. Ask the operator to add it to the catalogue.",
            details={"provider": provider, "model": model, "missing": missing},
        )


class InvalidRates(ValueError):
    """Rate rows that contradict each other, so that a price would depend on which is read first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of the price book: what one class of one model costs and sells for over one stretch of time."""

    id: UUID
    provider: str
    model: str
    quantity_class: QuantityClass
    cost_per_million: Decimal
    price_per_million: Decimal
    valid_from: datetime
    valid_to: datetime | None = None  # half-open: [valid_from, valid_to); None is for ever
    service_tier: str = STANDARD_TIER
    mode: Mode = Mode.REALTIME
    region: str = ANY_REGION
    # For calls with more input tokens in all than this; 0 is for every size. A provider's "from 128,000 on"
    # is 127,999.
    context_min: int = 0
    currency: str = "USD"
    source: str = ""
    # The row or version that set the price, where that is not this row (a plan's own price list).
    price_id: UUID | None = None
    # What each line that it prices says of it, put into words once.
    stored: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stored = {
            "class": str(self.quantity_class),
            "rate_id": str(self.id),
            "price_id": str(self.price_id or self.id),
            "cost_per_million": str(self.cost_per_million),
            "price_per_million": str(self.price_per_million),
        }
        object.__setattr__(self, "stored", stored)

    @property
    def key(self) -> "TariffKey":
        """What a call must have in common with this row to be priced by it."""
        return TariffKey(self.provider, self.model, self.service_tier, self.mode, self.region)


class TariffKey(NamedTuple):
    """What chooses a tariff, apart from the time."""

    provider: str
    model: str
    service_tier: str
    mode: Mode
    region: str


class CompiledRate(NamedTuple):
    """A row and its two rates as integers of 10⁻⁶, so that times a quantity they are integers of 10⁻¹²."""

    rate: Rate
    cost: int
    price: int


@dataclass(frozen=True, slots=True)
class Band:
    """The rates for one range of context length; it prices the whole call."""

    context_min: int
    by_class: Mapping[QuantityClass, CompiledRate]
    # In the order of DISJOINT_CLASSES, so that rating is one zip.
    ordered: tuple[CompiledRate | None, ...] = field(init=False)
    reasoning: CompiledRate | None = field(init=False)
    dearest_input: CompiledRate | None = field(init=False)
    dearest_output: CompiledRate | None = field(init=False)

    def __post_init__(self) -> None:
        get = self.by_class.get
        object.__setattr__(self, "ordered", tuple(get(name) for name in DISJOINT_CLASSES))
        object.__setattr__(self, "reasoning", get(QuantityClass.REASONING))
        object.__setattr__(self, "dearest_input", self.dearest(INPUT_CLASSES))
        object.__setattr__(self, "dearest_output", self.dearest(OUTPUT_SIDE))

    def covers(self, input_tokens: int) -> bool:
        """Whether a call of this size is large enough for the band."""
        return input_tokens > self.context_min or not self.context_min

    def dearest(
        self, classes: Iterable[QuantityClass], of: Literal["cost", "price"] = "price"
    ) -> CompiledRate | None:
        """The safe rate: the row among these classes that sells (or costs) most."""
        rows = [row for row in map(self.by_class.get, classes) if row is not None]
        if of == "cost":
            return max(rows, key=lambda row: row.cost, default=None)
        return max(rows, key=lambda row: (row.price, row.cost), default=None)


@dataclass(frozen=True, slots=True)
class Tariff:
    """The compiled rates of one model, tier, mode and region over one stretch of time."""

    key: TariffKey
    currency: str
    bands: tuple[Band, ...]  # by ascending context_min

    @property
    def prices_requests(self) -> bool:
        """Whether calls of the provider's own tools have a rate."""
        return any(QuantityClass.REQUESTS in band.by_class for band in self.bands)

    def band(self, input_tokens: int) -> Band:
        """The band that prices a call of this size, all of it."""
        for band in reversed(self.bands):
            if band.covers(input_tokens):
                return band
        raise self.unpriced(f"calls of {input_tokens} input tokens")

    def reachable(self, input_tokens: int) -> list[Band]:
        """Every band that a call of at most this size may fall in."""
        bands = [band for band in self.bands if band.covers(input_tokens)]
        if not bands:
            raise self.unpriced(f"calls of {input_tokens} input tokens")
        return bands

    def unpriced(self, missing: str) -> Unpriced:
        """The error that says what this tariff does not price."""
        return Unpriced(self.key.provider, self.key.model, missing)


def compile_tariff(key: TariffKey, rows: list[Rate]) -> Tariff | None:
    """The tariff of the rows in force at one time, None if there are none; `InvalidRates` if they clash."""
    if not rows:
        return None
    currencies = {row.currency for row in rows}
    if len(currencies) > 1:
        raise InvalidRates(
            f"{key.model} at {key.provider} is priced in {' and '.join(sorted(currencies))} at once."
        )
    bands: dict[int, dict[QuantityClass, CompiledRate]] = defaultdict(dict)
    for row in rows:
        band = bands[row.context_min]
        if row.quantity_class in band:
            raise InvalidRates(
                f"{key.model} at {key.provider} has two rates for {row.quantity_class} ({key.service_tier}, "
                f"{key.mode}, context {row.context_min}) in force at the same time."
            )
        band[row.quantity_class] = CompiledRate(
            row, money.rate_micro(row.cost_per_million), money.rate_micro(row.price_per_million)
        )
    compiled = (Band(start, bands[start]) for start in sorted(bands))
    return Tariff(key, currencies.pop(), tuple(compiled))
