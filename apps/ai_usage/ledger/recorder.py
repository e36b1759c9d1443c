"""Group commit: the rows of many calls in one transaction, each call waiting only for its own."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
from django.db.utils import InterfaceError as DjangoInterfaceError
from django.db.utils import OperationalError as DjangoOperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.ai_usage import metrics
from apps.ai_usage.ledger.records import (
    Record,
    batch_parameters,
    insert_statement,
    keep_statement,
    kept_parameters,
)
from apps.ai_usage.ledger.spool import Spool
from apps.errors import DomainError
from apps.governance.admission.errors import ValkeyUnavailable

log = logging.getLogger(__name__)

_MOST_IN_ONE_COMMIT = 500
# So many wait before a second commit sets out while one is on its way: fewer and larger ones cost less.
_ENOUGH_FOR_ANOTHER = 64
_REPLAY_EVERY = 1.0
_RETRY_AFTER = 1.0
# What PostgreSQL says when it is away, starting, stopping or in fail-over: worth the spool, not the grave.
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError)


class LedgerUnavailable(DomainError):
    """PostgreSQL is away and the spool is full: nothing more may be consumed that could not be written down."""

    status = 503
    code = "ledger_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "Usage cannot be recorded right now, so nothing was run. Try again shortly.", retry_after=2
        )


class Recorder:
    """Takes records and answers when each is durable: in PostgreSQL, or in the spool while that is away.

    While one commit is on its way the next batch gathers, so batches grow with load and a lone call waits for
    nobody; a commit that is slow does not hold up a crowd. `replayed` is told the spooled records that came in
    late, since counters may have missed them; a file is kept until it was.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        spool: Spool,
        *,
        replayed: Callable[[list[Record]], Awaitable[None]],
        writers: int = 2,
    ) -> None:
        self._pool = pool
        self.spool = spool
        self._replayed = replayed
        self._waiting: list[tuple[Record, asyncio.Future[None] | None]] = []
        self._wake = asyncio.Event()
        self._writers = writers
        self._writing = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._away = False
        self._stuck = False

    def start(self) -> None:
        """Begin writing and replaying."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write()) for _ in range(self._writers)]
        self._tasks.append(loop.create_task(self._replay_for_ever()))

    async def stop(self) -> None:
        """Write what waits, to PostgreSQL or to the spool, and end."""
        self._stopping = True
        self._wake.set()
        self._tasks.pop().cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def depth(self) -> int:
        """Records that are neither in PostgreSQL nor in the spool yet."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Refuse to begin what could not be written down; LedgerUnavailable when spool or disk is full."""
        if self.spool.is_full or self._stuck:
            raise LedgerUnavailable

    def commit(self, record: Record) -> asyncio.Future[None]:
        """Make a record durable; the future is done when it is. It does not fail and must not be cancelled."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, future))
        self._call_writer()
        return future

    def note(self, record: Record) -> None:
        """Write a record that nobody waits for, such as a refusal; dropped when too many wait already."""
        if len(self._waiting) < 20_000:
            self._waiting.append((record, None))
            self._call_writer()

    def _call_writer(self) -> None:
        if not self._writing or len(self._waiting) >= _ENOUGH_FOR_ANOTHER:
            self._wake.set()

    async def _write(self) -> None:
        while True:
            # A writer that comes back from a commit takes what gathered meanwhile, however little.
            if not self._waiting or (self._writing and len(self._waiting) < _ENOUGH_FOR_ANOTHER):
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch, self._waiting = self._waiting[:_MOST_IN_ONE_COMMIT], self._waiting[_MOST_IN_ONE_COMMIT:]
            began = time.monotonic()
            self._writing += 1
            await self._store_somewhere([record for record, _ in batch])
            self._writing -= 1
            metrics.observe_commit(time.monotonic() - began, len(batch))
            for _, future in batch:
                if future is not None and not future.done():
                    future.set_result(None)

    async def _store_somewhere(self, records: list[Record]) -> None:
        while True:
            try:
                await self._store_batch(records)
                break
            except Exception:
                # A defect here must not lose records: keep them on disk and be loud.
                log.exception("a batch of usage records could not be stored; it is to be kept in the spool")
            try:
                await asyncio.to_thread(self.spool.append, records)
                break
            except OSError as error:
                # The disk is full, perhaps. Nothing is acknowledged and nothing new begins until it is not.
                self._stuck = True
                log.error("usage records can be written nowhere, which is tried again: %s", error)
                await asyncio.sleep(_RETRY_AFTER)
        self._stuck = False

    async def _store_batch(self, records: list[Record]) -> None:
        if not self._away:
            try:
                await self._insert(records)
                return
            except _AWAY as away:
                self._away = True
                log.warning("PostgreSQL is away; usage records go to the spool: %s", away)
            except psycopg.Error:
                await self._insert_one_by_one(records)
                return
        await asyncio.to_thread(self.spool.append, records)

    async def _insert(self, records: list[Record]) -> None:
        by_schema: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_schema[record.tenant.schema].append(record)
        async with self._pool.connection() as conn:
            kept = [record for record in records if record.kept is not None]
            if len(by_schema) == 1 and not kept:
                ((schema, rows),) = by_schema.items()
                await conn.execute(insert_statement(schema), batch_parameters(rows), prepare=True)
                return
            async with conn.transaction(), conn.pipeline():
                for schema, rows in by_schema.items():
                    await conn.execute(insert_statement(schema), batch_parameters(rows), prepare=True)
                for record in kept:
                    if record.kept is not None:
                        statement = keep_statement(record.tenant.schema)
                        await conn.execute(statement, kept_parameters(record.kept))

    async def _insert_one_by_one(self, records: list[Record]) -> None:
        """After a batch was refused: one bad record (a tenant erased meanwhile) must not take others with it."""
        for record in records:
            try:
                await self._insert([record])
            except _AWAY:
                await asyncio.to_thread(self.spool.append, [record])
            except psycopg.Error as refused:
                await asyncio.to_thread(self.spool.bury, record, str(refused))

    async def _replay_for_ever(self) -> None:
        while True:
            try:
                await self.replay()
            except (*_AWAY, ValkeyUnavailable):
                pass  # the next round
            except Exception:
                log.exception("spooled usage records could not be replayed; trying again")
            await asyncio.sleep(_REPLAY_EVERY)

    async def replay(self) -> int:
        """Bring spooled records into PostgreSQL; returns how many. Nothing is doubled: ids decide."""
        if self._away or not self.spool.is_empty:
            async with self._pool.connection(timeout=2) as conn:
                await conn.execute("SELECT 1")
            self._away = False
            self.spool.rotate()
        paths = await asyncio.to_thread(self.spool.to_replay)
        return sum([await self._replay_file(path) for path in paths])

    async def _replay_file(self, path: Path) -> int:
        records = await asyncio.to_thread(lambda: list(Spool.read(path)))
        for start in range(0, len(records), _MOST_IN_ONE_COMMIT):
            batch = records[start : start + _MOST_IN_ONE_COMMIT]
            try:
                await self._insert(batch)
            except _AWAY:
                # Still on disk, and the next round finds it there.
                self._away = True
                raise
            except psycopg.Error:
                await self._insert_one_by_one(batch)
        if records:
            await self._replayed(records)
            log.info("%d spooled usage records replayed", len(records))
        await asyncio.to_thread(self.spool.remove, path)
        return len(records)


def away(error: BaseException) -> bool:
    """Whether an error means that PostgreSQL is not there, rather than that we asked something wrong."""
    if isinstance(error, (*_AWAY, DjangoOperationalError, DjangoInterfaceError)):
        return True
    return error.__cause__ is not None and away(error.__cause__)
