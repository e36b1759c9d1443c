"""LOCKSTEP_HOME: one local system at a time, and a mark that the directory is ours to delete."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from deploy.local.errors import LocalServiceError

MARK = "lockstep-home"


def make_home(home: Path) -> None:
    """Make the directory if it is missing, and mark it as ours if it is empty."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not any(home.iterdir()):
            (home / MARK).write_text("Made by Lockstep; `make reset` deletes this directory.\n")
    except OSError as error:
        raise LocalServiceError(f"LOCKSTEP_HOME={home} cannot be used: {error.strerror}.") from None


@contextlib.contextmanager
def locked(home: Path, *, doing: str) -> Iterator[None]:
    """Hold the home for ourselves; the system releases it when this process ends, however it ends."""
    path = home / "lock"
    try:
        file = open(path, "a+")  # noqa: SIM115 (held open as long as the lock)
    except PermissionError:
        raise LocalServiceError(f"{path} belongs to another user; run as the user who made it.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LocalServiceError(
                f"{file.read().strip() or 'Another process'} already uses {home}. Stop it first, or run "
                "another system beside it, for example: LOCKSTEP_HOME=.lockstep-2 LOCKSTEP_PORT=9000 make up"
            ) from None
        file.truncate(0)
        file.write(f"{doing} (process {os.getpid()})\n")
        file.flush()
        yield
