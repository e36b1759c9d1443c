"""One question to admission, and the admission that is held when the answer is yes."""

from collections.abc import Iterator
from dataclasses import dataclass

from apps.governance.admission.limits import CompiledLimits, LimitSet
from apps.governance.admission.types import (
    MAX_AMOUNT,
    Alert,
    BudgetWindow,
    Kind,
    Limit,
    Quota,
    check_output_price,
)

_LONGEST_LEASE_MS = 3_600_000


@dataclass(slots=True)
class Ask:
    """May this call go ahead?

    `call_id` names the lease and is new for every ask. `epoch` is that of the snapshot from which `limits`
    were made. The most the call may cost is `input_nano` plus `output_tokens` at `output_price_pico` (a price
    of 0.60 per million tokens is 600,000 pico-units, 1e-12, a token), and `input_tokens` plus
    `output_tokens`. Where that does not fit and
    `min_output_tokens` is given, the largest output that fits is granted, not below it. `estimate_nano` is
    what budgets hold that reserve an estimate. `tokens` is the estimate for token rates.

    The lease lasts `lease_ms`, which a holder that lives longer extends; with `keep_alive_ms` the engine does
    so itself for that long. `closed_without_valkey` refuses also calls without a hard budget while Valkey is
    away.
    """

    call_id: str
    limits: LimitSet
    epoch: int
    tokens: int = 0
    input_nano: int = 0
    output_tokens: int = 0
    output_price_pico: int = 0
    min_output_tokens: int | None = None
    estimate_nano: int | None = None
    lease_ms: int = 60_000
    keep_alive_ms: int = 0
    accept_dirty: bool = False
    closed_without_valkey: bool = False
    input_tokens: int = 0

    def __post_init__(self) -> None:
        if not self.call_id:
            raise ValueError("A call has an id.")
        if not 0 < self.lease_ms <= _LONGEST_LEASE_MS:
            raise ValueError("A lease lasts at most an hour; extend it for longer calls.")
        amounts = (
            self.tokens,
            self.input_nano,
            self.output_tokens,
            self.output_price_pico,
            self.input_tokens,
        )
        if min(amounts) < 0 or max(amounts) > MAX_AMOUNT or (self.estimate_nano or 0) < 0:
            raise ValueError("What a call may use is between 0 and 2^53 - 1.")
        if self.min_output_tokens is not None and not 0 <= self.min_output_tokens <= MAX_AMOUNT:
            raise ValueError("The least output is between 0 and 2^53 - 1 tokens.")
        check_output_price(self.output_tokens, self.output_price_pico)
        if self.input_nano + self.output_tokens * self.output_price_pico // 1000 >= MAX_AMOUNT:
            raise ValueError("A call may cost at most 2^53 - 1 nano-units.")


class Admitted:
    """A call that may go ahead. Settle or release it once, whatever happens; its lease covers what you
    cannot.

    `granted_output_tokens` is the most the call may produce. `degraded` means that Valkey was away: nothing
    was checked or held and the snapshot's epoch was not compared, so the caller reads its snapshot afresh and
    raises an alarm.
    """

    __slots__ = (
        "_pairs",
        "_quotas",
        "admitted_at_ms",
        "ask",
        "compiled",
        "degraded",
        "expires_at_ms",
        "generation",
        "granted_output_tokens",
        "hold_nano",
        "keep_until_ms",
    )

    def __init__(
        self,
        ask: Ask,
        compiled: CompiledLimits,
        generation: str,
        reply: list[int],
        end: int,
        *,
        degraded: bool = False,
    ) -> None:
        self.ask = ask
        self.compiled = compiled
        self.generation = generation
        self.admitted_at_ms = reply[1]
        self.expires_at_ms = reply[2]
        self.granted_output_tokens = reply[3]
        self.hold_nano = reply[4]
        self.keep_until_ms = reply[1] + ask.keep_alive_ms if ask.keep_alive_ms else 0
        self.degraded = degraded
        # Two numbers per limit: remaining and reset of a rate, free slots, spent and reserved of a budget.
        # They are looked at on demand, as most calls only need a few of them.
        self._pairs = reply[5:end]
        self._quotas: dict[Kind, Quota | None] = {}

    @property
    def call_id(self) -> str:
        return self.ask.call_id

    @property
    def is_clamped(self) -> bool:
        return self.granted_output_tokens < self.ask.output_tokens

    @property
    def requests(self) -> Quota | None:
        """The request rate with the least left, for response headers."""
        return self._tightest(Kind.REQUESTS)

    @property
    def tokens(self) -> Quota | None:
        """The token rate with the least left, for response headers."""
        return self._tightest(Kind.TOKENS)

    @property
    def shadow_refusals(self) -> tuple[Limit, ...]:
        """The soft limits that would have refused."""
        return tuple(
            limit
            for limit, first, second in self._states()
            if limit.soft and _would_refuse(limit, first, second)
        )

    @property
    def would_have_refused(self) -> tuple[str, ...]:
        """The names of the limits in shadow that would have refused; those that only alert never would."""
        return tuple(limit.name for limit in self.shadow_refusals if limit.is_shadow)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alert thresholds that spending has reached, crossed now or before."""
        windows = iter(self.compiled.budgets)
        found: list[Alert] = []
        for limit, spent, _ in self._states():
            if limit.kind is Kind.BUDGET:
                found += reached(next(windows), spent)
        return tuple(found)

    def budgets(self) -> list[tuple[BudgetWindow, int, int]]:
        """Each budget with what is spent and what is reserved, this call included."""
        states = [(first, second) for limit, first, second in self._states() if limit.kind is Kind.BUDGET]
        return [(window, *state) for window, state in zip(self.compiled.budgets, states, strict=False)]

    def hold_on(self, window: BudgetWindow) -> int:
        """What this call reserves of one budget."""
        if window.limit.counts_tokens:
            most = self.ask.input_tokens + self.granted_output_tokens
            return min(self.ask.tokens, most) if window.limit.reserve_estimate else most
        estimate = self.ask.estimate_nano
        if window.limit.reserve_estimate and estimate is not None:
            return min(estimate, self.hold_nano)
        return self.hold_nano

    def _states(self) -> Iterator[tuple[Limit, int, int]]:
        pairs = self._pairs
        return (
            (limit, pairs[i * 2], pairs[i * 2 + 1]) for i, limit in enumerate(self.ask.limits.limits) if pairs
        )

    def _tightest(self, kind: Kind) -> Quota | None:
        # Asked for twice by most calls: for the headers, and for what is written down of the call.
        if kind not in self._quotas:
            self._quotas[kind] = self._find_tightest(kind)
        return self._quotas[kind]

    def _find_tightest(self, kind: Kind) -> Quota | None:
        pairs = self._pairs
        best: Limit | None = None
        least = reset = place = 0
        for limit in self.ask.limits.limits if pairs else ():
            if limit.kind is kind and not limit.soft and (best is None or pairs[place] < least):
                best, least, reset = limit, pairs[place], pairs[place + 1]
            place += 2
        return None if best is None else Quota(best, least, reset / 1000)


def reached(window: BudgetWindow, spent: int, before: int = -1) -> list[Alert]:
    """The thresholds of a budget at or below `spent` and above `before`."""
    found: list[Alert] = []
    for percent in window.limit.alerts:
        threshold = -(-window.limit.limit * percent // 100)
        if before < threshold <= spent:
            found.append(Alert(window.limit, window.start_ms, percent, spent))
    return found


def _would_refuse(limit: Limit, first: int, second: int) -> bool:
    if limit.kind is Kind.BUDGET:
        return first + second > limit.limit
    return first < 0
