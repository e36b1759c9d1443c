"""Looking at processes that aren't our children."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def command_line(pid: int) -> list[str]:
    """What process `pid` was started with; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/cmdline").exists():
            return []
    listed = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.split()


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask twenty times a second until the answer is yes; whether it came in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
