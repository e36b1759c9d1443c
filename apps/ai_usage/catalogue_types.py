"""What a catalogue says of providers, routes and rates, as values; and what applying it changed."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from apps.ai_usage.quantities import QuantityClass


class CatalogueProblem(NamedTuple):
    """Why a catalogue is refused: the line (0: not from a file), the place in it, and the reason."""

    line: int
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A provider. `enabled` None leaves an existing one as it is."""

    name: str
    dialect: str
    base_url: str
    region: str = ""
    retention_days: int | None = None
    trains_on_data: bool | None = None
    enabled: bool | None = None
    credential_source: str = ""  # env:NAME or file:PATH
    secret: str = field(default="", repr=False)
    line: int = 0


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One provider's model behind a route."""

    provider: str
    model: str
    priority: int = 1
    weight: int = 1
    line: int = 0


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A public model name, its targets in order, and the bounds on answering it. Times in seconds."""

    model: str
    targets: tuple[TargetEntry, ...]
    connect_timeout: float = 2.0
    first_byte_timeout: float = 30.0
    between_bytes_timeout: float = 60.0
    total_timeout: float = 600.0
    attempts: int = 3
    retry_seconds: float = 60.0
    max_output_tokens: int = 16384
    enabled: bool | None = None
    line: int = 0


class RateTerms(NamedTuple):
    """What one class costs a million, and what it sells for if not at cost plus the plan's markup."""

    cost: Decimal
    fixed_price: Decimal | None
    currency: str

    def __str__(self) -> str:
        sold = "" if self.fixed_price is None else f", sold at {self.fixed_price:f}"
        return f"{self.cost:f} {self.currency}{sold}"


class TariffName(NamedTuple):
    """What one price entry is about, apart from the time."""

    provider: str
    model: str
    service_tier: str = "default"
    context_min: int = 0
    mode: str = "realtime"
    region: str = ""

    def __str__(self) -> str:
        extras = [
            self.service_tier if self.service_tier != "default" else "",
            f"context > {self.context_min}" if self.context_min else "",
            self.mode if self.mode != "realtime" else "",
            self.region,
        ]
        named = ", ".join(filter(None, extras))
        return f"{self.provider} {self.model}" + (f" ({named})" if named else "")


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """The complete tariff of a model from a moment on: a class that it does not name ends there."""

    tariff: TariffName
    valid_from: datetime
    rates: dict[QuantityClass, RateTerms]
    source: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class CatalogueEntries:
    """The part of a catalogue that is about providers and models."""

    providers: tuple[ProviderEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    prices: tuple[PriceEntry, ...] = ()


class Change(NamedTuple):
    """One thing that applying a catalogue changed, as shown in its diff."""

    sign: str  # + new, ~ changed, - ended
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.sign} {self.what}" + (f": {self.detail}" if self.detail else "")
