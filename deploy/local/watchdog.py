"""Stops what a supervisor left behind when it was killed. A script; its standard input is the supervisor.

Each child gets a signal when the supervisor dies (launch.py), which is enough for those that heed it. This
process sees to the rest: children of children, and those that hang. It also works where that signal
doesn't exist.
"""

import contextlib
import os
import signal
import sys
import time
from typing import TextIO


def main(orders: TextIO) -> None:
    """Read `+ pid signal grace` and `- pid` lines; when they end, stop what is left, the youngest first."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    alive: dict[int, tuple[int, float]] = {}
    for line in orders:
        order, pid, *rest = line.split()
        if order == "+":
            alive[int(pid)] = (int(rest[0]), float(rest[1]))
        else:
            alive.pop(int(pid), None)
    stop(alive)


def stop(alive: dict[int, tuple[int, float]]) -> None:
    """Ask the leaders of these process groups to stop, youngest first; kill a group whose grace is over."""
    for pid, (stop_signal, _) in reversed(alive.items()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, stop_signal)
    began = time.monotonic()
    for pid, (_, grace) in reversed(alive.items()):
        while _group_exists(pid) and time.monotonic() < began + grace:
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _group_exists(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(sys.stdin)
