"""Where counters and ledger meet: seeding what Valkey lacks, and ending the leases of calls whose owner is
gone.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from apps.governance.admission import lua
from apps.governance.admission.clock import ServerClock
from apps.governance.admission.leases import Ending, Leases
from apps.governance.admission.limits import subject_of
from apps.governance.admission.types import BudgetWindow, ReadAmounts, ReadSpent, SettleStatus, tokens_of
from apps.governance.admission.valkey import Valkey

logger = logging.getLogger(__name__)


class LedgerDesk:
    """Asks the ledger once for what many calls of this process wait for."""

    def __init__(self, valkey: Valkey, leases: Leases, clock: ServerClock) -> None:
        self._valkey = valkey
        self._leases = leases
        self._clock = clock
        self._seeding: dict[str, asyncio.Task[None]] = {}
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self.seeded = 0
        self.orphans_resolved = 0

    async def stop(self) -> None:
        tasks = [*self._seeding.values(), *self._resolving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def seed(
        self,
        prefix: str,
        generation: str,
        generation_key: str,
        missing: Sequence[tuple[BudgetWindow, str]],
        open_calls: Sequence[str],
        read: ReadSpent,
    ) -> None:
        """Seed budgets (each with the token of its seeding) from the ledger; those being seeded are waited
        for.
        """
        mine = [each for each in missing if prefix + each[0].counter not in self._seeding]
        if mine:
            work = self._seed(prefix, generation, generation_key, mine, open_calls, read)
            self._share(self._seeding, [prefix + window.counter for window, _ in mine], work)
        running = {self._seeding.get(prefix + window.counter) for window, _ in missing}
        # Shielded: one caller's hanging up must not take the seed from the others.
        await asyncio.gather(*(asyncio.shield(task) for task in running if task is not None))

    async def resolve(self, prefix: str, orphans: Sequence[str], read: ReadAmounts) -> None:
        """End leases past their expiry with what the ledger has for them: their amount, or nothing.

        Safe when several processes do it at once, since a lease ends once.
        """
        await asyncio.shield(self.resolve_soon(prefix, orphans, read))

    def resolve_soon(self, prefix: str, orphans: Sequence[str], read: ReadAmounts) -> "asyncio.Task[None]":
        """Like `resolve`, without waiting."""
        task = self._resolving.get(prefix)
        if task is None:
            task = self._share(self._resolving, [prefix], self._resolve(prefix, orphans, read))
        return task

    async def _seed(
        self,
        prefix: str,
        generation: str,
        generation_key: str,
        budgets: Sequence[tuple[BudgetWindow, str]],
        open_calls: Sequence[str],
        read: ReadSpent,
    ) -> None:
        spent = await read([window for window, _ in budgets], open_calls)
        words: list[Any] = [generation, self._clock.word(), len(budgets)]
        for window, token in budgets:
            limit = window.limit
            words += [window.counter, token, spent.amounts[window.counter]]
            words += [window.start_ms, window.end_ms, limit.since_ms, subject_of(limit)]
        for call_id, amount in spent.committed.items():
            words += [call_id, int(amount), tokens_of(amount)]
        self.seeded += await self._valkey.run(lua.SEED, (prefix, generation_key), tuple(words))

    async def _resolve(self, prefix: str, orphans: Sequence[str], read: ReadAmounts) -> None:
        amounts = await read(orphans)
        found = {call_id: amounts.get(call_id, 0) for call_id in orphans}
        endings = [
            Ending(prefix, "O", each, int(amount), tokens_of(amount)) for each, amount in found.items()
        ]
        for status, _ in await asyncio.gather(*(self._leases.end(ending) for ending in endings)):
            self.orphans_resolved += status is SettleStatus.SETTLED

    def _share(
        self, shelf: "dict[str, asyncio.Task[None]]", names: list[str], work: Coroutine[Any, Any, None]
    ) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)

        def clear(done: asyncio.Task[None]) -> None:
            for name in names:
                shelf.pop(name, None)
            if not done.cancelled() and (failure := done.exception()) is not None:
                logger.warning("Counters and ledger could not be brought together: %r", failure)

        for name in names:
            shelf[name] = task
        task.add_done_callback(clear)
        return task
