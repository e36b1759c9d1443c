"""The words of admission: what limits there are, what is asked, what is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Protocol

# Valkey's Lua counts in doubles, which are exact below 2^53.
MAX_AMOUNT = 2**53 - 1
# Keeps `tokens * price` and its thousandth both exact.
_MAX_OUTPUT_PRICE = 8 * 10**15
_NANO = Decimal(10) ** 9


class Level(IntEnum):
    """Whom a limit is on; a smaller level is checked and named first."""

    TENANT = 1
    OWNER = 2
    PARENT = 3  # the key of which this one is a child
    KEY = 4


class Kind(IntEnum):
    """What a limit counts."""

    REQUESTS = 1
    TOKENS = 2
    CONCURRENCY = 3
    BUDGET = 4


@dataclass(frozen=True, slots=True)
class Window:
    """The span over which a budget counts: `DAY`, `MONTH` and `TOTAL` (no end), in UTC, or every so many
    seconds.
    """

    name: str
    seconds: int = 0

    @classmethod
    def every(cls, seconds: int) -> "Window":
        if seconds <= 0:
            raise ValueError("A window lasts at least one second.")
        return cls(f"{seconds}s", seconds)

    def bounds(self, now_ms: int) -> tuple[str, int, int]:
        """The window that `now_ms` is in: its label, its start and its end (0: none) in Unix milliseconds."""
        if self.seconds:
            span = self.seconds * 1000
            start = now_ms - now_ms % span
            return str(start // 1000), start, start + span
        if self.name == "total":
            return "total", 0, 0
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.name == "day":
            return f"{day:%Y-%m-%d}", _ms(day), _ms(day + timedelta(days=1))
        if self.name == "month":
            first = day.replace(day=1)
            return f"{first:%Y-%m}", _ms(first), _ms((first + timedelta(days=32)).replace(day=1))
        raise ValueError(f"There is no window called {self.name!r}.")


DAY = Window("day")
MONTH = Window("month")
TOTAL = Window("total")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit on a tenant, an owner (member or service account), a parent key or a key.

    `name` is stable and says the level first: `tenant.requests_per_minute`, `key.spend_per_day`. `limit`
    counts requests, tokens, calls at once or nano-units of money. `period_ms` belongs to rates, `window` to
    budgets.

    A soft limit is evaluated and reported but never refuses (for a rate this is shadow mode). `alerts` are
    percentages of a budget's limit. A budget that reserves the estimate holds what a call will probably cost,
    not the most it can; it can be overshot by the difference times the calls at once. `since_ms` says from
    when on the limit was continuously in force: a counter older than that missed what was spent while it was
    not, and is read from the ledger again.
    """

    name: str
    kind: Kind
    limit: int
    subject: str = ""
    period_ms: int = 0
    window: Window | None = None
    soft: bool = False
    alerts: tuple[int, ...] = ()
    reserve_estimate: bool = False
    since_ms: int = 0

    def __post_init__(self) -> None:
        level = self.level
        if not 0 <= self.limit <= MAX_AMOUNT:
            raise ValueError(f"{self.name}: a limit is between 0 and 2^53 - 1, not {self.limit}.")
        if (level is Level.TENANT) != (not self.subject):
            raise ValueError(f"{self.name}: a limit on an owner or key names it, one on the tenant does not.")
        if self.kind in (Kind.REQUESTS, Kind.TOKENS):
            if self.period_ms <= 0 or self.limit * self.period_ms > MAX_AMOUNT:
                raise ValueError(f"{self.name}: a rate needs a period, and limit x milliseconds below 2^53.")
        elif self.kind is Kind.BUDGET and self.window is None:
            raise ValueError(f"{self.name}: a budget needs a window.")

    @property
    def level(self) -> Level:
        return Level[self.name.partition(".")[0].upper()]

    @property
    def is_shadow(self) -> bool:
        """Whether what it would have refused is to be counted; a budget that only alerts would refuse nothing."""
        return self.soft and not (self.kind is Kind.BUDGET and "alert_per_" in self.name)

    @property
    def counts_tokens(self) -> bool:
        """Whether a budget counts tokens instead of money: `tenant.token_budget_per_day`."""
        return self.kind is Kind.BUDGET and self.name.partition(".")[2].startswith("token_")


def request_rate(
    name: str, limit: int, *, subject: str = "", period_ms: int = 60_000, soft: bool = False
) -> Limit:
    """At most `limit` requests in any `period_ms` after a pause, evenly spaced after that."""
    return Limit(name, Kind.REQUESTS, limit, subject, period_ms=period_ms, soft=soft)


def token_rate(
    name: str, limit: int, *, subject: str = "", period_ms: int = 60_000, soft: bool = False
) -> Limit:
    """Like a request rate, by tokens: estimated on admission, corrected at settlement."""
    return Limit(name, Kind.TOKENS, limit, subject, period_ms=period_ms, soft=soft)


def concurrency(name: str, limit: int, *, subject: str = "", soft: bool = False) -> Limit:
    """At most `limit` calls at once."""
    return Limit(name, Kind.CONCURRENCY, limit, subject, soft=soft)


def budget(
    name: str,
    limit_nano: int,
    window: Window,
    *,
    subject: str = "",
    soft: bool = False,
    alerts: Sequence[int] = (),
    reserve_estimate: bool = False,
    since_ms: int = 0,
) -> Limit:
    """At most `limit_nano` billionths of the currency's unit (or tokens, if its name begins with `token_`) spent
    and reserved in each window.
    """
    return Limit(
        name,
        Kind.BUDGET,
        limit_nano,
        subject,
        window=window,
        soft=soft,
        alerts=tuple(sorted(alerts)),
        reserve_estimate=reserve_estimate,
        since_ms=since_ms,
    )


class Used(int):
    """What a call came to: its price in nano-units, and the tokens that went with it."""

    tokens: int

    def __new__(cls, nano: int, tokens: int = 0) -> "Used":
        made = super().__new__(cls, nano)
        made.tokens = tokens
        return made


def tokens_of(amount: int) -> int:
    """The tokens of an amount from the ledger; 0 where it says nothing of them."""
    return amount.tokens if isinstance(amount, Used) else 0


def to_nano(amount: Decimal) -> int:
    """Money as the integer that Valkey counts, rounded up: a hold never covers less than its price."""
    return -int((-amount * _NANO) // 1)


@dataclass(frozen=True, slots=True)
class BudgetWindow:
    """A budget in one of its windows, with the name of its counter. The ledger sums calls by when they were
    admitted: `start_ms <= admitted_at < end_ms` (an `end_ms` of 0 is no end).
    """

    limit: Limit
    counter: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Spent:
    """One consistent reading of the ledger (one statement, or one snapshot).

    `amounts`: what was spent, by `BudgetWindow.counter`. `committed`: of the open calls that were asked
    about, those that the same reading counted, with the amount it counted for each (a `Used`). In nano-units,
    or tokens where the budget counts those.
    """

    amounts: Mapping[str, int]
    committed: Mapping[str, int] = field(default_factory=dict)


class ReadSpent(Protocol):
    """Reads the ledger for counters that Valkey lacks. May run after the request that brought it."""

    async def __call__(self, budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent: ...


class ReadAmounts(Protocol):
    """Says what the ledger has for calls whose owner is gone; a call it does not have may be left out."""

    async def __call__(self, call_ids: Sequence[str]) -> Mapping[str, int]: ...


class SettleStatus(StrEnum):
    """What became of a settlement."""

    SETTLED = "settled"
    ALREADY = "already"  # it had ended before; nothing changed
    UNKNOWN = "unknown"  # Valkey does not know the lease; its budgets are read from the ledger again
    DEFERRED = "deferred"  # Valkey is away; repeated when it is back, and the lease's end covers the rest
    NOT_HELD = "not_held"  # admitted without Valkey, so nothing was held


@dataclass(frozen=True, slots=True)
class Alert:
    """A budget's spending has reached a percentage that somebody wants to hear of."""

    limit: Limit
    window_start_ms: int
    percent: int
    spent_nano: int


@dataclass(frozen=True, slots=True)
class Settled:
    """`alerts` are those that this settlement crossed."""

    status: SettleStatus
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """Where the tightest rate of a kind stands; `reset_at` (Unix seconds) is when it is whole again."""

    limit: Limit
    remaining: int
    reset_at: float


class RefusedBecause(StrEnum):
    """Stable codes of refusals."""

    RATE = "request_rate_exceeded"
    TOKENS = "token_rate_exceeded"
    CONCURRENCY = "concurrency_exceeded"
    BUDGET = "budget_exhausted"


_REASONS = {
    Kind.REQUESTS: RefusedBecause.RATE,
    Kind.TOKENS: RefusedBecause.TOKENS,
    Kind.CONCURRENCY: RefusedBecause.CONCURRENCY,
    Kind.BUDGET: RefusedBecause.BUDGET,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """The limit that refused. `reset_at` is in Unix seconds, None when waiting does not help."""

    limit: Limit
    remaining: int
    reset_at: float | None
    retry_after: float | None

    @property
    def code(self) -> RefusedBecause:
        return _REASONS[self.limit.kind]

    @property
    def message(self) -> str:
        """What happened and what to do, for the one who called."""
        limit, when = self.limit, ""
        if self.reset_at is not None:
            when = (
                f" It has room again at {datetime.fromtimestamp(self.reset_at, UTC):%Y-%m-%d %H:%M:%S} UTC."
            )
        if limit.counts_tokens:
            return (
                f"The budget {limit.name} of {limit.limit} tokens has {self.remaining} left, less than this call "
                f"may use.{when} Raise the budget, or ask for fewer output tokens."
            )
        if limit.kind is Kind.BUDGET:
            left = Decimal(self.remaining) / _NANO
            return (
                f"The budget {limit.name} of {Decimal(limit.limit) / _NANO:f} has {left:f} left, less than "
                f"this call may cost.{when} Raise the budget, or ask for fewer output tokens."
            )
        if limit.kind is Kind.CONCURRENCY:
            return f"The limit {limit.name} allows {limit.limit} calls at once. Wait for one to finish."
        if self.reset_at is None:
            return f"This call alone is larger than the limit {limit.name} of {limit.limit}. Make it smaller."
        return f"The limit {limit.name} of {limit.limit} is reached.{when}"


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """How one limit stands without the call that was asked about.

    Rates and concurrency have `remaining`; a budget has what is `spent` and `reserved`, in nano-units. `reset_at`
    (Unix seconds) is when a rate is whole again, or when a budget's window ends; None: never, or not known.
    """

    limit: Limit
    remaining: int
    spent: int = 0
    reserved: int = 0
    reset_at: float | None = None


@dataclass(frozen=True, slots=True)
class Peek:
    """What admission would answer now; nothing is held. `standings` is empty while Valkey is away (`degraded`)."""

    refused: Refused | None
    granted_output_tokens: int
    hold_nano: int
    standings: tuple[LimitStanding, ...]
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Stale:
    """What the caller read its limits from has changed: load it again and ask with this epoch. When `dirty`,
    a writer is about to commit: ask with `accept_dirty` and do not keep what was loaded.
    """

    epoch: int
    dirty: bool


def check_output_price(tokens: int, price_pico: int) -> None:
    """Refuse a product that Lua could not hold exactly."""
    if tokens * price_pico > _MAX_OUTPUT_PRICE:
        raise ValueError("The most that the output of one call may cost is 8,000 units of money.")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
