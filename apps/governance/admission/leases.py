"""What this process holds in Valkey and still owes it: open leases, and ends that could not be told yet."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.governance.admission import lua
from apps.governance.admission.ask import Admitted
from apps.governance.admission.clock import ServerClock
from apps.governance.admission.errors import ValkeyUnavailable
from apps.governance.admission.types import SettleStatus
from apps.governance.admission.valkey import Valkey

# Beyond this the end of a lease is left to its expiry; the ledger is right in either case.
_MOST_OWED = 50_000
_STATUSES = {1: SettleStatus.SETTLED, 2: SettleStatus.ALREADY, 3: SettleStatus.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a lease, as it is told to Valkey."""

    prefix: str
    mode: str  # S settle, R release, O resolve for an owner that is gone
    call_id: str
    amount_nano: int
    tokens: int
    counters: tuple[str, ...] = ()


def release_of(prefix: str, call_id: str) -> Ending:
    return Ending(prefix, "R", call_id, 0, 0)


class Leases:
    """The open leases of one process, by tenant prefix, and the endings it owes."""

    def __init__(self, valkey: Valkey, clock: ServerClock) -> None:
        self._valkey = valkey
        self._clock = clock
        self._open: dict[str, dict[str, Admitted]] = {}
        self._owed: dict[str, Ending] = {}

    @property
    def open_count(self) -> int:
        return sum(len(leases) for leases in self._open.values())

    @property
    def owed_count(self) -> int:
        return len(self._owed)

    def add(self, admitted: Admitted) -> None:
        prefix = admitted.ask.limits.prefix
        leases = self._open.get(prefix)
        if leases is None:
            leases = self._open[prefix] = {}
        leases[admitted.ask.call_id] = admitted
        if self._owed:
            self._owed.pop(admitted.ask.call_id, None)

    def remove(self, admitted: Admitted) -> None:
        prefix = admitted.ask.limits.prefix
        leases = self._open.get(prefix)
        if leases is not None and leases.pop(admitted.ask.call_id, None) is not None and not leases:
            del self._open[prefix]

    def prefixes(self) -> list[str]:
        return list(self._open)

    def of(self, prefix: str | None) -> Iterator[Admitted]:
        """The open leases of one tenant, or of all for None."""
        for each in [prefix] if prefix is not None else list(self._open):
            yield from list(self._open.get(each, {}).values())

    def holds(self, admitted: Admitted) -> bool:
        return admitted.call_id in self._open.get(admitted.ask.limits.prefix, {})

    def owe(self, ending: Ending) -> None:
        if len(self._owed) < _MOST_OWED:
            self._owed[ending.call_id] = ending

    async def pay(self) -> None:
        """Tell Valkey the endings it was away for. Raises ValkeyUnavailable when it is away still."""
        for ending in list(self._owed.values()):
            await self.end(ending)
            self._owed.pop(ending.call_id, None)

    async def end(self, ending: Ending) -> tuple[SettleStatus, list[int]]:
        """Run the settle script; answers the status, then per budget what is spent and what was added."""
        words = (
            ending.mode,
            self._clock.word(),
            ending.call_id,
            ending.amount_nano,
            ending.tokens,
            *ending.counters,
        )
        reply = await self._valkey.run(lua.SETTLE, (ending.prefix,), words)
        return _STATUSES[reply[0]], reply[1:]

    async def end_or_owe(self, ending: Ending) -> tuple[SettleStatus, list[int]]:
        """Like `end`, but what Valkey cannot be told now is told when it is back, also for a cancelled
        caller.
        """
        try:
            return await self.end(ending)
        except ValkeyUnavailable:
            self.owe(ending)
            return SettleStatus.DEFERRED, []
        except asyncio.CancelledError:
            self.owe(ending)
            raise

    async def extend(self, admitted: Admitted, lease_ms: int) -> bool:
        """Move the lease's expiry to `lease_ms` from now. False when Valkey no longer has the lease."""
        words = (self._clock.word(), admitted.call_id, lease_ms)
        expiry = await self._valkey.run(lua.EXTEND, (admitted.ask.limits.prefix,), words)
        admitted.expires_at_ms = expiry or self._clock.now_ms() + lease_ms
        return bool(expiry)

    async def register(self, admitted: Admitted, generation: str, generation_key: str) -> bool:
        """Put a lease back that Valkey lost. False when Valkey's data is of another generation."""
        limits, now = admitted.ask.limits, self._clock.now_ms()
        left = max(admitted.expires_at_ms - now, 1)
        keep = max(admitted.compiled.keep_until_ms - now, left + 60_000)
        words: list[Any] = [
            generation,
            self._clock.word(),
            admitted.call_id,
            left,
            keep,
            admitted.admitted_at_ms,
        ]
        words += [limits.subjects, len(admitted.compiled.budgets)]
        for window in admitted.compiled.budgets:
            words += [window.counter, admitted.hold_on(window), window.end_ms]
        reply = await self._valkey.run(lua.REGISTER, (limits.prefix, generation_key), (*words, *limits.slots))
        if reply:
            admitted.generation = generation
        return bool(reply)
