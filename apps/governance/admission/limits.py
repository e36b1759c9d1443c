"""The limits on one key, arranged for asking many times."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from apps.governance.admission.resp import pack_inner
from apps.governance.admission.types import BudgetWindow, Kind, Level, Limit

# A parent is a key like others: what its children use counts with what it uses itself.
_SUBJECTS = {Level.TENANT: "t", Level.OWNER: "o", Level.PARENT: "k", Level.KEY: "k"}
_FOREVER = 2**53 - 1
_DAY_MS = 86_400_000
_SOFT, _ESTIMATE, _IN_TOKENS = 1, 2, 4


def prefix_of(tenant_id: UUID) -> str:
    """What every key of a tenant begins with. The braces make a cluster keep them in one slot."""
    return f"lockstep:{{{tenant_id.hex}}}"


def subject_of(limit: Limit) -> str:
    """The part of a key in Valkey that says whom a limit is on."""
    return subject_word(limit.level, limit.subject)


def subject_word(level: Level, subject: str = "") -> str:
    """A subject as Valkey's keys have it, by its level and, except for the tenant, its id in hexadecimal."""
    return f"{_SUBJECTS[level]}:{subject}" if subject else _SUBJECTS[level]


@dataclass(slots=True)
class CompiledLimits:
    """A LimitSet in the windows of one moment: its share of the admit script's arguments, encoded once."""

    start_ms: int
    end_ms: int
    budgets: tuple[BudgetWindow, ...]
    counters: tuple[str, ...]  # of the budgets, in their order
    windows: dict[int, BudgetWindow]  # the budgets by the place of their limit, from 1
    tail: bytes
    tail_count: int
    keep_until_ms: int
    # When somebody last looked which alerts these limits have reached (monotonic seconds).
    looked_at: float = float("-inf")
    heads: dict[str, bytes] = field(default_factory=dict)


class LimitSet:
    """Every limit that applies to the calls of one key, tenant's first. Build it once per snapshot and keep
    it.

    `owner`, `parent` (of a child key) and `key` identify the caller also when no limit is on them.
    """

    __slots__ = (
        "_compiled",
        "has_alerts",
        "has_budgets",
        "has_hard_budgets",
        "has_shadow",
        "key",
        "limits",
        "owner",
        "parent",
        "prefix",
        "slots",
        "subjects",
        "tenant",
    )

    def __init__(
        self, tenant_id: UUID, limits: Iterable[Limit], *, owner: str = "", parent: str = "", key: str = ""
    ) -> None:
        self.tenant = tenant_id.hex
        self.prefix = prefix_of(tenant_id)
        self.owner = owner
        self.parent = parent
        self.key = key
        whose = {Level.TENANT: "", Level.OWNER: owner, Level.PARENT: parent, Level.KEY: key}
        # As one word for Valkey, which notes with each lease whom it counts for.
        self.subjects = " ".join(
            f"{_SUBJECTS[level]}:{subject}" if subject else _SUBJECTS[level]
            for level, subject in whose.items()
            if subject or level is Level.TENANT
        )
        self.limits: tuple[Limit, ...] = tuple(sorted(limits, key=lambda limit: limit.level))
        for limit in self.limits:
            if limit.subject != whose[limit.level]:
                raise ValueError(
                    f"{limit.name} is on {limit.subject!r}, but these are the limits of {whose[limit.level]!r}."
                )
        names = {limit.name for limit in self.limits}
        if len(names) != len(self.limits):
            raise ValueError("Two limits of one key have the same name.")
        self.has_budgets = any(limit.kind is Kind.BUDGET for limit in self.limits)
        self.has_hard_budgets = any(limit.kind is Kind.BUDGET and not limit.soft for limit in self.limits)
        self.has_shadow = any(limit.is_shadow for limit in self.limits)
        self.has_alerts = any(limit.alerts for limit in self.limits)
        self.slots = tuple(_counter(limit) for limit in self.limits if limit.kind is Kind.CONCURRENCY)
        self._compiled: CompiledLimits | None = None

    def at(self, now_ms: int) -> CompiledLimits:
        """The limits in the windows that `now_ms` is in."""
        compiled = self._compiled
        if compiled is None or not compiled.start_ms <= now_ms < compiled.end_ms:
            compiled = self._compiled = self._compile(now_ms)
        return compiled

    def _compile(self, now_ms: int) -> CompiledLimits:
        start, end, keep_until = 0, _FOREVER, 0
        windows: dict[int, BudgetWindow] = {}
        names: list[str] = []
        flags = bytearray()
        numbers: list[int] = []
        for place, limit in enumerate(self.limits, start=1):
            name, third, flag = _counter(limit), limit.period_ms, _SOFT if limit.soft else 0
            if limit.window is not None:
                window = windows[place] = window_of(limit, now_ms)
                name, opens, closes = window.counter, window.start_ms, window.end_ms
                start, end = max(start, opens), min(end, closes or _FOREVER)
                keep_until = max(keep_until, (closes or now_ms + 38 * _DAY_MS) + 2 * _DAY_MS)
                third = closes
                flag |= _ESTIMATE if limit.reserve_estimate else 0
                flag |= _IN_TOKENS if limit.counts_tokens else 0
            names.append(name)
            flags.append(flag)
            numbers += [limit.limit, third, limit.since_ms]
        numbers = [int(self.has_budgets), start, end, *numbers]
        layout = f">{'d' * len(numbers)}"
        kinds = bytes(limit.kind for limit in self.limits)
        packed = struct.pack(layout, *numbers)
        words = (self.subjects, kinds, bytes(flags), layout, packed, *names)
        budgets = tuple(windows.values())
        counters = tuple(window.counter for window in budgets)
        return CompiledLimits(
            start, end, budgets, counters, windows, pack_inner(words), len(words), keep_until
        )


def window_of(limit: Limit, now_ms: int) -> BudgetWindow:
    """A budget in the window that a moment is in."""
    assert limit.window is not None
    label, opens, closes = limit.window.bounds(now_ms)
    return BudgetWindow(limit, f"{_counter(limit)}:{label}", opens, closes)


def _counter(limit: Limit) -> str:
    return f"{subject_of(limit)}:{limit.name.partition('.')[2]}"
