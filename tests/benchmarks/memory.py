"""Whether memory grows with requests, and how much a slow stream holds."""

import asyncio
import time
from dataclasses import dataclass

import requests
import uvloop

from tests.benchmarks import load, machine
from tests.benchmarks.load import Run
from tests.benchmarks.system import Server


@dataclass(frozen=True)
class Growth:
    """Resident bytes of a server as requests go by."""

    after: list[tuple[int, int]]  # requests so far, resident bytes

    @property
    def bytes_per_request(self) -> float:
        """How much each request of the second half left behind."""
        (middle, then), (last, now) = self.after[len(self.after) // 2], self.after[-1]
        return (now - then) / (last - middle)


def growth(server: Server, *, count: int, steps: int = 8) -> Growth:
    """Send `count` requests, looking at the memory now and then."""
    after = []
    for step in range(1, steps + 1):
        load.run(server.port, [server.request("whole")], connections=32, most=count // steps)
        after.append((count // steps * step, machine.used_by(server.pid).resident_bytes))
    return Growth(after)


@dataclass(frozen=True)
class Streams:
    """What open streams hold together."""

    count: int
    idle_bytes: int
    open_bytes: int

    @property
    def kilobytes_each(self) -> float:
        """Resident kilobytes (1,024 bytes) for each stream."""
        return (self.open_bytes - self.idle_bytes) / self.count / 1024


def slow_streams(server: Server, upstream: str, *, count: int) -> Streams:
    """Open streams that go on slowly, weigh them, then let them end."""
    idle = machine.used_by(server.pid).resident_bytes

    async def open_and_weigh() -> int:
        run = Run([server.request("slow")], ends=None, most=count)
        await run.connect(server.port, count)
        async with asyncio.timeout(120):
            await run.all_begun
        # A few events later, when each has been through the whole path more than once.
        await asyncio.sleep(5)
        weighed = machine.used_by(server.pid).resident_bytes
        await asyncio.to_thread(requests.post, f"{upstream}/release", timeout=60)
        async with asyncio.timeout(120):
            await run.done
        run.result.seconds = time.perf_counter()
        run.result.require_success()
        return weighed

    return Streams(count, idle, uvloop.run(open_and_weigh()))
