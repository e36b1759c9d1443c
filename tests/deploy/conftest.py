"""What the tests of the local system share."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

Eventually = Callable[..., None]


def is_running(pid: int) -> bool:
    """Whether the process exists and isn't merely waiting to be collected by its parent."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


@pytest.fixture
def eventually() -> Eventually:
    """Wait until a condition holds, or fail."""

    def wait(condition: Callable[[], object], *, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "It did not come about in time."
            time.sleep(0.02)

    return wait
