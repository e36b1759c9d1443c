"""A tenant as the tests of admission see it: asks with its epoch, calls with their ends, and a look into
Valkey.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import redis

from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import BudgetWindow, Limit, Refused, Settled, Spent, Stale
from tests.governance.admission.ledger import Ledger

_numbers = itertools.count(1)


async def _nothing() -> None:
    pass


class Tenant:
    def __init__(self, tenant_id: UUID, ledger: Ledger, port: int) -> None:
        self.id = tenant_id
        self.ledger = ledger
        self.epoch = 0
        self.valkey = redis.Redis(port=port, decode_responses=True)
        self.read_delay = 0.0
        # What a test wants to happen around a reading of the ledger.
        self.before_read: Callable[[], Awaitable[object]] = _nothing
        self.after_read: Callable[[], Awaitable[object]] = _nothing

    def limits(self, *limits: Limit, owner: str = "", parent: str = "", key: str = "") -> LimitSet:
        return LimitSet(self.id, limits, owner=owner, parent=parent, key=key)

    async def spent(self, budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent:
        await self.before_read()
        spent = self.ledger.spent(self.id.hex, budgets, open_calls)
        await asyncio.sleep(self.read_delay)
        await self.after_read()
        return spent

    async def amounts(self, call_ids: Sequence[str]) -> dict[str, int]:
        amounts = self.ledger.amounts(self.id.hex, call_ids)
        await asyncio.sleep(self.read_delay)
        return amounts

    async def ask(self, engine: AdmissionEngine, limits: LimitSet, **words: Any) -> Admitted | Refused:
        """Ask with a new call id, and again with the new epoch for as long as the one in hand is stale."""
        words.setdefault("call_id", f"call-{next(_numbers)}")
        while True:
            ask = Ask(limits=limits, epoch=self.epoch, **words)
            answer = await engine.admit(ask, spent=self.spent, ledger_amounts=self.amounts)
            if not isinstance(answer, Stale):
                return answer
            self.epoch = answer.epoch

    async def admitted(self, engine: AdmissionEngine, limits: LimitSet, **words: Any) -> Admitted:
        answer = await self.ask(engine, limits, **words)
        assert isinstance(answer, Admitted), answer
        return answer

    async def refused(self, engine: AdmissionEngine, limits: LimitSet, **words: Any) -> Refused:
        answer = await self.ask(engine, limits, **words)
        assert isinstance(answer, Refused), answer
        return answer

    def commit(self, admitted: Admitted, amount: int) -> None:
        """Write the usage event of a call to the ledger."""
        limits = admitted.ask.limits
        at = admitted.admitted_at_ms
        whose = {"owner": limits.owner, "parent": limits.parent, "key": limits.key}
        self.ledger.commit(self.id.hex, admitted.call_id, amount, at, **whose)

    async def finish(
        self, engine: AdmissionEngine, admitted: Admitted, amount: int, tokens: int | None = None
    ) -> Settled:
        self.commit(admitted, amount)
        return await engine.settle(admitted, amount, tokens)

    def counter(self, window: BudgetWindow) -> tuple[int | None, int]:
        """What Valkey has for a budget: spent (None: not seeded) and reserved."""
        return self.counter_named(window.counter)

    def counter_named(self, name: str) -> tuple[int | None, int]:
        spent, reserved = self.valkey.hmget(f"lockstep:{{{self.id.hex}}}:b:{name}", "s", "r")
        return (None if spent is None else int(spent)), int(reserved or 0)
