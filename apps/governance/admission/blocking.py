"""Admission for threads: Celery workers and Django services use the same engine, run on an event loop of its
own.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar
from uuid import UUID

from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.engine import AdmissionEngine, Counters
from apps.governance.admission.types import BudgetWindow, Peek, Refused, Settled, SettleStatus, Spent, Stale

Answer = TypeVar("Answer")


class CallerGone(Exception):
    """The thread whose ledger was to be read has its answer already."""


class BlockingAdmission:
    """The engine's methods without `await`, for any number of threads.

    One background thread per process runs the engine, so its watch keeps leases alive while a worker waits
    for a provider. It starts with the first use and anew after a fork. The functions that read the ledger run
    in the thread that asks, where its database connection and its tenant are.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: AdmissionEngine | None = None
        self._thread: threading.Thread | None = None

    def admit(
        self,
        ask: Ask,
        *,
        spent: Callable[[Sequence[BudgetWindow], Sequence[str]], Spent],
        ledger_amounts: Callable[[Sequence[str]], Mapping[str, int]],
    ) -> Admitted | Refused | Stale:
        """See AdmissionEngine.admit."""
        desk = _Desk()
        read_spent, read_amounts = desk.serve(spent), desk.serve(ledger_amounts)
        return desk.wait_for(
            self._submit(lambda engine: engine.admit(ask, spent=read_spent, ledger_amounts=read_amounts))
        )

    def peek(
        self,
        ask: Ask,
        *,
        spent: Callable[[Sequence[BudgetWindow], Sequence[str]], Spent],
        ledger_amounts: Callable[[Sequence[str]], Mapping[str, int]],
    ) -> Peek | Stale:
        """See AdmissionEngine.peek."""
        desk = _Desk()
        read_spent, read_amounts = desk.serve(spent), desk.serve(ledger_amounts)
        return desk.wait_for(
            self._submit(lambda engine: engine.peek(ask, spent=read_spent, ledger_amounts=read_amounts))
        )

    def settle(self, admitted: Admitted, amount_nano: int, tokens: int | None = None) -> Settled:
        """See AdmissionEngine.settle."""
        return self._submit(lambda engine: engine.settle(admitted, amount_nano, tokens)).result()

    def release(self, admitted: Admitted) -> Settled:
        """See AdmissionEngine.release."""
        return self._submit(lambda engine: engine.release(admitted)).result()

    def extend(self, admitted: Admitted, lease_ms: int | None = None) -> bool:
        """See AdmissionEngine.extend."""
        return self._submit(lambda engine: engine.extend(admitted, lease_ms)).result()

    def ensure_lease(self, admitted: Admitted, at_least_ms: int = 10_000) -> bool:
        """See AdmissionEngine.ensure_lease."""
        return self._submit(lambda engine: engine.ensure_lease(admitted, at_least_ms)).result()

    def resolve(self, tenant_id: UUID, call_id: str, amount_nano: int) -> SettleStatus:
        """See AdmissionEngine.resolve."""
        return self._submit(lambda engine: engine.resolve(tenant_id, call_id, amount_nano)).result()

    def announce_change_begin(self, tenant_id: UUID) -> str:
        """See AdmissionEngine.announce_change_begin. Call it before the transaction commits."""
        return self._submit(lambda engine: engine.announce_change_begin(tenant_id)).result()

    def announce_change_end(self, tenant_id: UUID, mark: str = "") -> int:
        """See AdmissionEngine.announce_change_end. Call it from `transaction.on_commit`."""
        return self._submit(lambda engine: engine.announce_change_end(tenant_id, mark)).result()

    def invalidate_budgets(self, tenant_id: UUID, counters: Sequence[str]) -> None:
        """See AdmissionEngine.invalidate_budgets."""
        self._submit(lambda engine: engine.invalidate_budgets(tenant_id, counters)).result()

    def expired(self, tenant_ids: Sequence[UUID], *, since_ms: int = 0) -> dict[UUID, list[str]]:
        """See AdmissionEngine.expired; for many tenants at once, those that have any."""

        async def look(engine: AdmissionEngine) -> dict[UUID, list[str]]:
            found = await asyncio.gather(*(engine.expired(each, since_ms=since_ms) for each in tenant_ids))
            return {each: leases for each, leases in zip(tenant_ids, found, strict=True) if leases}

        return self._submit(look).result()

    def counters(self) -> Counters | None:
        """What the engine of this process has counted; None before its first use."""
        return self._engine.counters() if self._engine is not None and self._pid == os.getpid() else None

    def close(self) -> None:
        """Stop the engine and its thread. The next use starts them again."""
        with self._lock:
            if self._loop is None or self._engine is None or self._pid != os.getpid():
                return
            asyncio.run_coroutine_threadsafe(self._engine.stop(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            if self._thread is not None:
                self._thread.join()
            self._loop.close()
            self._loop = self._engine = self._thread = None

    def _submit(self, work: Callable[[AdmissionEngine], Coroutine[Any, Any, Answer]]) -> "Future[Answer]":
        with self._lock:
            if self._loop is None or self._engine is None or self._pid != os.getpid():
                self._loop, self._engine, self._pid = *self._begin(), os.getpid()
            loop, engine = self._loop, self._engine
        return asyncio.run_coroutine_threadsafe(work(engine), loop)

    def _begin(self) -> tuple[asyncio.AbstractEventLoop, AdmissionEngine]:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="admission", daemon=True)
        self._thread.start()
        # Nobody could read the ledger once the asking thread has its answer.
        engine = AdmissionEngine.connect(self._url, resolve_in_background=False, **self._options)
        asyncio.run_coroutine_threadsafe(engine.start(), loop).result()
        return loop, engine


class _Desk:
    """Where a thread that waits for the engine does the engine's errands: reading the ledger."""

    def __init__(self) -> None:
        # None says that the answer has come.
        self._errands: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = True

    def serve(self, read: Callable[..., Answer]) -> Callable[..., Coroutine[Any, Any, Answer]]:
        """`read` as a coroutine function for the engine, run in the thread that waits."""

        async def errand(*words: Any) -> Answer:
            done: Future[Answer] = Future()
            with self._lock:
                if not self._open:
                    raise CallerGone("The thread whose ledger was to be read has its answer already.")
                self._errands.put((done, lambda: read(*words)))
            return await asyncio.wrap_future(done)

        return errand

    def wait_for(self, answer: "Future[Answer]") -> Answer:
        """Do errands until the answer has come."""
        answer.add_done_callback(lambda _: self._errands.put(None))
        try:
            while (errand := self._errands.get()) is not None:
                _do(*errand)
            return answer.result()
        finally:
            with self._lock:
                self._open = False
            while not self._errands.empty():
                if (errand := self._errands.get()) is not None:
                    _do(errand[0], _say_gone)


def _do(done: "Future[Any]", read: Callable[[], Any]) -> None:
    if not done.set_running_or_notify_cancel():
        return
    try:
        result = read()
    except BaseException as failure:  # noqa: BLE001 (it is for the coroutine that asked, whatever it is)
        done.set_exception(failure)
    else:
        done.set_result(result)


def _say_gone() -> Any:
    raise CallerGone("The answer came before this was read.")
