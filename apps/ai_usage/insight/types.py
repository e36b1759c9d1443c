"""What is shown of usage and calls. A tenant sees prices; the operator's cost is in none of these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from apps.ai_usage.errors import InvalidPeriod
from apps.ai_usage.quantities import INPUT_CLASSES, OUTPUT_SIDE, QuantityClass
from apps.money import EXACT, ZERO

_INPUT = frozenset(map(str, INPUT_CLASSES))
_OUTPUT = frozenset(map(str, OUTPUT_SIDE))


class Grouping(StrEnum):
    """What sums of usage can be split by."""

    MODEL = "model"
    KEY = "key"
    OWNER = "owner"
    CLASS = "class"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    @property
    def is_time(self) -> bool:
        """Whether it cuts time into stretches."""
        return self in (Grouping.HOUR, Grouping.DAY, Grouping.MONTH)


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    REFUSED = "refused"  # by us, before any provider was asked
    FAILED = "failed"
    CLIENT_GONE = "client_gone"
    CUT = "cut"  # the provider's stream broke off


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of whole hours, in UTC."""

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        for moment in (self.starts_at, self.ends_at):
            if moment.astimezone(UTC) != whole_hour(moment):
                raise InvalidPeriod(
                    "Usage is summed by the hour: give moments on the hour, such as 2026-11-24T14:00:00Z."
                )
        if self.starts_at >= self.ends_at:
            raise InvalidPeriod(
                "The period ends before it begins. `to` is the first moment that is not part of it."
            )

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.ends_at - self.starts_at

    @classmethod
    def month_of(cls, moment: datetime) -> Self:
        """The calendar month that a moment is in."""
        first = midnight(moment).replace(day=1)
        return cls(first, (first + timedelta(days=32)).replace(day=1))

    @classmethod
    def last_days(cls, moment: datetime, days: int) -> Self:
        """So many whole days, today included."""
        tomorrow = midnight(moment) + timedelta(days=1)
        return cls(tomorrow - timedelta(days=days), tomorrow)

    @classmethod
    def last_hours(cls, moment: datetime, hours: int) -> Self:
        """So many whole hours, the running one included."""
        following = whole_hour(moment) + timedelta(hours=1)
        return cls(following - timedelta(hours=hours), following)


def whole_hour(moment: datetime) -> datetime:
    """The hour that a moment is in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def midnight(moment: datetime) -> datetime:
    """The beginning of the day that a moment is in."""
    return whole_hour(moment).replace(hour=0)


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which usage; everything that is given must hold."""

    model: str = ""
    key_id: UUID | None = None
    owner_id: UUID | None = None
    key_ids: tuple[UUID, ...] = ()  # any of these


@dataclass(slots=True)
class Consumed:
    """An exact sum of usage in one currency."""

    currency: str
    price: Decimal = ZERO
    # By class name; classes that were not used are absent.
    quantities: dict[str, int] = field(default_factory=dict)
    # Answered calls. Grouped by class there is none to count: a call has several.
    calls: int = 0

    def add(self, quantity_class: str, quantity: int, price: Decimal, calls: int) -> None:
        """Put one line's sums on top."""
        self.price = EXACT.add(self.price, price)
        self.quantities[quantity_class] = self.quantities.get(quantity_class, 0) + quantity
        self.calls += calls

    def add_all(self, other: "Consumed") -> None:
        """Put another sum of the same currency on top."""
        self.price = EXACT.add(self.price, other.price)
        for name, quantity in other.quantities.items():
            self.quantities[name] = self.quantities.get(name, 0) + quantity
        self.calls += other.calls

    @property
    def input_tokens(self) -> int:
        """Every token that went in, cached or not."""
        return sum(count for name, count in self.quantities.items() if name in _INPUT)

    @property
    def cached_tokens(self) -> int:
        """Tokens of the input that a cache answered for."""
        return self.quantities.get(QuantityClass.CACHE_READ, 0)

    @property
    def output_tokens(self) -> int:
        """Every token that came out."""
        return sum(count for name, count in self.quantities.items() if name in _OUTPUT)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The usage of one group."""

    # Group → its value: a name, an id, or the beginning of a stretch of time. None where the usage has none.
    group: Mapping[str, Any]
    consumed: Consumed
    # Everything beyond the groups that were asked for, in one row.
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Sums over a period; the totals are exactly those of the rows."""

    period: Period
    group_by: tuple[Grouping, ...]
    rows: tuple[UsageRow, ...]
    totals: tuple[Consumed, ...]  # one per currency

    def total(self, currency: str) -> Consumed:
        """The sum of everything in one currency."""
        return next((total for total in self.totals if total.currency == currency), Consumed(currency))


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls; everything that is given must hold."""

    model: str = ""
    key_id: UUID | None = None
    owner_id: UUID | None = None
    outcome: str = ""
    environment: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request to the gateway, as listed."""

    id: UUID
    started_at: datetime
    key_id: UUID | None
    owner_kind: str
    owner_id: UUID | None
    environment: str
    endpoint: str
    model: str
    stream: bool
    status: int
    outcome: str
    error_code: str
    duration_ms: int
    first_byte_ms: int | None
    attempts: int
    provider: str
    served_model: str
    input_tokens: int
    output_tokens: int
    price: Decimal
    currency: str
    usage_source: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try at one provider target, and why it ended."""

    id: UUID
    number: int
    provider: str
    model: str
    started_at: datetime
    waited_ms: int
    status: int | None
    outcome: str
    error: str
    duration_ms: int
    first_byte_ms: int | None
    provider_request_id: str

    @property
    def target(self) -> str:
        """How the target is named in headers and metrics."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One class of what an attempt consumed, and the arithmetic of its price."""

    quantity_class: str
    quantity: int
    price_per_million: Decimal | None
    price: Decimal
    # The row of the price list, which invoice lines name too, and the rate it was built on.
    price_id: UUID | None
    rate_id: UUID | None


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What one attempt consumed."""

    id: UUID
    kind: str
    occurred_at: datetime
    provider: str
    served_model: str
    usage_source: str
    anomaly: str
    price: Decimal
    currency: str
    lines: tuple[UsageLine, ...]

    @property
    def is_lost(self) -> bool:
        """The answer never reached the caller, who therefore pays nothing for it."""
        return self.anomaly.startswith("lost:")


@dataclass(frozen=True, slots=True)
class AppliedLimit:
    """A limit that admission looked at, and what was left of it with this call let in."""

    name: str
    unit: str  # requests | tokens | money
    limit: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class ShadowRefusal:
    """What a policy in shadow would have refused of a call that was let through."""

    level: str
    version: int
    rule: str
    said: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call went where it went, as far as it was written down."""

    targets: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()  # left alone because they kept failing
    limits: tuple[AppliedLimit, ...] = ()
    held: Decimal | None = None
    asked_output_tokens: int | None = None
    granted_output_tokens: int | None = None
    checked_without_valkey: bool = False
    would_have_refused: tuple[str, ...] = ()  # limits in shadow
    refusal: str = ""
    shadowed: tuple[ShadowRefusal, ...] = ()
    # What the data boundary found: by direction, how many of each class.
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    uninspected: tuple[str, ...] = ()
    repeats: str | None = None  # the call whose answer this one got from memory
    # The prompt that the call used: id, slug and version.
    prompt: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CallDetail:
    """One call with everything that came of it."""

    call: CallRecord
    attempts: tuple[AttemptRecord, ...]
    usage: tuple[UsageRecord, ...]
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Health:
    """How well the newest calls of a stretch of time went."""

    since: datetime
    calls: int
    refused: int
    failed: int  # failed and cut
    # Answered calls only; None without any.
    p50_ms: int | None
    p95_ms: int | None
    # Only the newest so many calls were looked at.
    is_sample: bool

    @property
    def error_rate(self) -> Decimal | None:
        """Failures among the calls that we let through."""
        tried = self.calls - self.refused
        return Decimal(self.failed) / tried if tried else None


@dataclass(frozen=True, slots=True)
class MonthSpend:
    """What this month came to so far, against the tightest limit on it."""

    currency: str
    amount: Decimal
    # What the same stretch of the month before came to.
    amount_before: Decimal
    limit: Decimal | None
    reserved: Decimal | None
    starts_at: datetime
    ends_at: datetime
