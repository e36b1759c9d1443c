"""Being a recipe of `make`: seeing that it was told to stop."""

import os
from collections.abc import Callable
from pathlib import Path

_SIGINT_BIT = 1 << 1


def wish_of_make() -> Callable[[], bool]:
    """A question whether `make`, our parent, has ended or was interrupted.

    Ctrl-C reaches make and us alike, and make passes SIGTERM on. But a SIGINT for make alone (from a script,
    or a test) only makes it wait for us in silence, and its death reaches nobody.
    """
    make = os.getppid()
    heeded_interrupts = _catches_interrupt(make)

    def wishes() -> bool:
        return os.getppid() != make or (heeded_interrupts and not _catches_interrupt(make))

    return wishes


def _catches_interrupt(pid: int) -> bool:
    """Whether the process has a handler for SIGINT; make's is gone when the signal has come (Linux only)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) & _SIGINT_BIT)
