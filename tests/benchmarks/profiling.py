"""Where the time of a call goes: `python -m tests.benchmarks.profiling` runs calls in this process under cProfile.

The server is left out: calls enter at the ASGI application, with everything behind it real.
"""

import asyncio
import cProfile
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from tests.benchmarks import machine
from tests.benchmarks.system import PATH, body, running_system
from tests.system import ROOT

_AT_ONCE = 32
_ROUNDS = 20


def main() -> None:
    """Start a system and profile in a process that is configured for it."""
    machine.settle_in()
    with tempfile.TemporaryDirectory(prefix="lockstep-profile-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        with running_system(directory) as system:
            inside = [
                sys.executable,
                "-m",
                "tests.benchmarks.profiling",
                system.tenant["secret"],
                *sys.argv[1:],
            ]
            subprocess.run(machine.on_measured_core(inside), cwd=ROOT, env=system.environment, check=True)


async def profile(secret: str, calls: int) -> None:
    """Time so many calls, then run them again under the profiler."""
    from config.asgi import application

    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started = asyncio.Event()

    async def said(message: dict[str, Any]) -> None:
        started.set()

    life = asyncio.create_task(application({"type": "lifespan"}, received.get, said))
    await received.put({"type": "lifespan.startup"})
    await started.wait()
    await _calls(application, secret, 500)
    # The least of many rounds: on a shared machine only that says something about the code.
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        await _calls(application, secret, calls // 5)
        rounds.append((time.process_time() - began) / (calls // 5) * 1e6)
    print(f"Processor time a call: least {min(rounds):.0f} µs, median {median(rounds):.0f} µs")
    profiler = cProfile.Profile()
    profiler.enable()
    await _calls(application, secret, calls)
    profiler.disable()
    await received.put({"type": "lifespan.shutdown"})
    await life
    statistics = pstats.Stats(profiler).strip_dirs()
    statistics.sort_stats("tottime").print_stats(45)
    statistics.sort_stats("cumulative").print_stats(70)


async def _calls(application: Any, secret: str, count: int) -> None:
    left = iter(range(count))
    await asyncio.gather(*(_one_after_the_other(application, secret, left) for _ in range(_AT_ONCE)))


async def _one_after_the_other(application: Any, secret: str, left: Any) -> None:
    asked = body("whole")
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(asked)).encode()),
        (b"authorization", f"Bearer {secret}".encode()),
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
    }
    message = {"type": "http.request", "body": asked, "more_body": False}

    async def receive() -> dict[str, Any]:
        return message

    async def send(answer: dict[str, Any]) -> None:
        if answer.get("status", 200) != 200:
            raise RuntimeError(f"A call was answered {answer['status']}.")

    for _ in left:
        await application(scope, receive, send)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("lk_"):
        uvloop.run(profile(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5000))
    else:
        main()
