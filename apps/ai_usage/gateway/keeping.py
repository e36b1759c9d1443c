"""Keeping prompts and answers of tenants that want it: after the call is accounted for, and never in its way.

What waits is bounded; beyond that, and while PostgreSQL is away, content is dropped and counted. It is encrypted before
it leaves the process, and is in no log, metric or spool.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import orjson
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from apps.ai_usage import metrics
from apps.governance.content.keys import DataKey
from apps.governance.data_boundary.redaction import Redactor
from apps.tenancy.types import TenantRef

if TYPE_CHECKING:
    from apps.ai_usage.gateway.calls import Call

log = logging.getLogger(__name__)

LONGEST_ANSWER: Final = 1024 * 1024
_MOST_WAITING: Final = 32 * 1024 * 1024


@dataclass(slots=True)
class Answer:
    """An answer as it is shown, up to what is kept of one."""

    is_cut: bool = False
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0

    def add(self, piece: bytes) -> None:
        """Take a part of the answer."""
        left = LONGEST_ANSWER - self._size
        if len(piece) > left:
            piece, self.is_cut = piece[:left], True
        self._size += len(piece)
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """All that was taken."""
        return b"".join(self._pieces)


@dataclass(slots=True)
class _Waiting:
    tenant: TenantRef
    key: DataKey
    call_id: UUID
    request: bytes
    answer: bytes
    is_cut: bool
    redactor: Redactor | None
    at: datetime
    expires_at: datetime

    def sealed(self) -> bytes:
        """The content after redaction, encrypted: what was put back for the caller is taken out again."""
        answer = self.answer.decode("utf-8", "replace")
        if self.redactor is not None:
            answer = self.redactor.hide(answer)
        request = self.request.decode("utf-8", "replace")
        return self.key.encrypt(
            self.call_id, orjson.dumps({"request": request, "answer": answer, "cut": self.is_cut})
        )


class ContentKeeper:
    """Writes content in the background, one at a time."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._waiting: deque[_Waiting] = deque()
        self._size = 0
        self._task: asyncio.Task[None] | None = None

    def keep(self, call: "Call") -> None:
        """Have a call's content kept; dropped when too much waits already."""
        assert call.caller is not None
        snapshot = call.caller.snapshot
        key, boundary = snapshot.content_key, snapshot.boundary
        if key is None or boundary is None or boundary.retention_days is None:
            return
        answer = call.kept.whole() if call.kept is not None else b""
        size = len(call.request.body) + len(answer)
        if self._size + size > _MOST_WAITING:
            metrics.observe_content("dropped")
            return
        at = call.log.started_at
        self._size += size
        self._waiting.append(
            _Waiting(
                snapshot.tenant,
                key,
                call.log.id,
                call.request.body,
                answer,
                call.kept.is_cut if call.kept is not None else False,
                call.inspection.redactor if call.inspection is not None else None,
                at,
                at + timedelta(days=boundary.retention_days),
            )
        )
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def stop(self) -> None:
        """Write what waits."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            self._size -= len(waiting.request) + len(waiting.answer)
            try:
                ciphertext = await asyncio.to_thread(waiting.sealed)
                async with self._pool.connection() as conn:
                    await conn.execute(
                        f'INSERT INTO "{waiting.tenant.schema}".governance_callcontent '  # noqa: S608
                        "(call_id, key_number, ciphertext, created_at, expires_at) VALUES (%s, %s, %s, %s, %s) "
                        "ON CONFLICT (call_id) DO NOTHING",
                        (waiting.call_id, waiting.key.number, ciphertext, waiting.at, waiting.expires_at),
                    )
                metrics.observe_content("kept")
            except (psycopg.Error, PoolTimeout, OSError) as error:
                metrics.observe_content("dropped")
                log.warning("content of a call was not kept: %s", type(error).__name__)
