"""Where records wait while PostgreSQL is away: an append-only file per process, on disk before it counts."""

import fcntl
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from apps.ai_usage.ledger.records import Record
from apps.tenancy.types import TenantRef, TenantState

log = logging.getLogger(__name__)


class Spool:
    """The files of one directory. This process appends to one that it holds a lock on; the lock ends with it.

    Files whose lock is free were left by processes that died; whoever replays takes them over.
    """

    def __init__(self, directory: Path, *, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._file: Any = None
        self._path: Path | None = None
        # Appends come from threads, several at once.
        self._lock = threading.Lock()
        self._own: dict[Path, int] = {}

    @property
    def waiting_bytes(self) -> int:
        """How much this process acknowledged that is not in PostgreSQL yet."""
        return sum(self._own.values())

    @property
    def is_full(self) -> bool:
        """Whether admission has to stop."""
        return self.waiting_bytes >= self._limit

    @property
    def is_empty(self) -> bool:
        """Whether everything this process acknowledged is in PostgreSQL."""
        return self.waiting_bytes == 0

    def holds_anything(self) -> bool:
        """Whether any process that spools here, living or dead, acknowledged what PostgreSQL may not have. Blocks."""
        try:
            return any(path.stat().st_size for path in self._directory.glob("*.jsonl"))
        except FileNotFoundError:  # replayed and removed while we looked
            return True

    def append(self, records: list[Record]) -> None:
        """Put records on disk; when this returns, a power cut does not lose them. Blocks: call it in a thread."""
        written = b"".join(record.to_line() for record in records)
        with self._lock:
            path = self._path or self._open()
            self._file.write(written)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._own[path] = self._own.get(path, 0) + len(written)

    def _open(self) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"{uuid.uuid4().hex}.jsonl"
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600), "ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        _sync_directory(self._directory)
        self._path = path
        return path

    def to_replay(self) -> list[Path]:
        """Files that nobody appends to: of processes that are gone, and this one's own from before now."""
        found = []
        for path in sorted(self._directory.glob("*.jsonl")):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                found.append(path)
        return found

    def rotate(self) -> None:
        """Stop appending to this process's file, which frees it for replay; new records start another."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = self._path = None

    @staticmethod
    def read(path: Path) -> Iterator[Record]:
        """The records of a file. A last line that a crash cut short was never acknowledged and is passed over."""
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    stored = orjson.loads(line)
                except orjson.JSONDecodeError:
                    log.error("a line of spool file %s is damaged and was passed over", path.name)
                    continue
                yield Record.from_line(stored, _tenant(stored["tenant"]))

    def remove(self, path: Path) -> None:
        """Forget a file whose records are in PostgreSQL."""
        self._own.pop(path, None)
        path.unlink(missing_ok=True)
        _sync_directory(path.parent)

    def bury(self, record: Record, reason: str) -> None:
        """Keep a record that PostgreSQL refuses for good, beside the spool, for an operator to look at."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._directory / "refused.jsonl.dead").open("ab") as file:
            file.write(record.to_line())
            file.flush()
            os.fsync(file.fileno())
        log.error("a usage record of call %s was refused by PostgreSQL: %s", record.call.get("id"), reason)


def _tenant(stored: dict[str, str]) -> TenantRef:
    schema = stored["schema"]
    return TenantRef(
        id=UUID(stored["id"]), ref=schema[2:], slug="", name="", schema=schema, state=TenantState.READY
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
