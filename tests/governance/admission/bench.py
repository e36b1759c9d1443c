"""What one admitted and settled call costs: `python -m tests.governance.admission.bench`.

Client: CPU of this process. Valkey: its own count of a script's microseconds. Both the least of several
rounds, because on a shared machine only the least says something about the code.
"""

import argparse
import asyncio
import itertools
import json
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import redis.asyncio
import uvloop

from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import (
    DAY,
    MONTH,
    BudgetWindow,
    Spent,
    Stale,
    budget,
    concurrency,
    request_rate,
    token_rate,
)
from tests.governance.admission.conftest import Server

ROUNDS = 15
# Short enough to fit between two interruptions by other processes.
_BATCH = 32
Figures = dict[str, float]


async def nothing_spent(budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent:
    return Spent({window.counter: 0 for window in budgets})


async def nothing_known(call_ids: Sequence[str]) -> dict[str, int]:
    return {}


def six_limits() -> LimitSet:
    return LimitSet(
        uuid.uuid4(),
        [
            request_rate("tenant.requests_per_minute", 10**7),
            token_rate("tenant.tokens_per_minute", 10**9),
            concurrency("tenant.concurrent_calls", 10_000),
            budget("tenant.spend_per_month", 10**15, MONTH),
            request_rate("key.requests_per_minute", 10**7, subject="k"),
            budget("key.spend_per_day", 10**15, DAY, subject="k"),
        ],
        key="k",
    )


async def least_cpu(work: Callable[[], Awaitable[Any]], at_once: int, count: int) -> float:
    """The least CPU of this process per `work`, in microseconds, with so many at once."""

    async def worker() -> None:
        for _ in range(count // at_once):
            await work()

    figures: list[float] = []
    for _ in range(ROUNDS):
        started = time.process_time()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        figures.append((time.process_time() - started) / count * 1e6)
    return round(min(figures), 1)


async def measure_calls(server: Server) -> Figures:
    engine = AdmissionEngine.connect(server.url, recovery_ms=0)
    await engine.start()
    limits, numbers = six_limits(), itertools.count()
    stale = await engine.admit(Ask("first", limits, 0), spent=nothing_spent, ledger_amounts=nothing_known)
    assert isinstance(stale, Stale)

    async def call() -> None:
        ask = Ask(
            f"{next(numbers):032x}",
            limits,
            stale.epoch,
            tokens=1_000,
            input_nano=1_000_000,
            output_tokens=1_000,
            output_price_pico=600_000,
        )
        answer = await engine.admit(ask, spent=nothing_spent, ledger_amounts=nothing_known)
        assert isinstance(answer, Admitted)
        await engine.settle(answer, 500_000, 800)

    figures = {f"client, admit + settle, {n} at once": await least_cpu(call, n, 1_600) for n in (1, 32)}
    await engine.stop()
    return figures


def measure_scripts(server: Server) -> Figures:
    """Valkey's own time per script, from sequential calls so that each script is alone in a round."""
    least: Figures = {}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        engine = AdmissionEngine.connect(server.url, recovery_ms=0)
        runner.run(engine.start())
        limits, numbers, client = six_limits(), itertools.count(), server.client()
        stale = runner.run(
            engine.admit(Ask("first", limits, 0), spent=nothing_spent, ledger_amounts=nothing_known)
        )

        async def admit_all() -> list[Admitted]:
            asks = [
                Ask(f"{next(numbers):032x}", limits, stale.epoch, tokens=1_000, input_nano=1_000_000)
                for _ in range(_BATCH)
            ]
            answers = [engine.admit(ask, spent=nothing_spent, ledger_amounts=nothing_known) for ask in asks]
            return await asyncio.gather(*answers)

        async def settle_all(calls: list[Admitted]) -> None:
            await asyncio.gather(*(engine.settle(call, 500_000, 800) for call in calls))

        def took(name: str) -> None:
            figure = client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
            least[name] = min(least.get(name, figure), figure)
            client.config_resetstat()

        for _ in range(ROUNDS * 10):
            client.config_resetstat()
            calls = runner.run(admit_all())
            took("valkey, admit under 6 limits")
            runner.run(settle_all(calls))
            took("valkey, settle")
        runner.run(engine.stop())
    return least


async def measure_clients(server: Server) -> Figures:
    """The same trivial script through this client and through redis-py's pool."""
    words = [str(number) for number in range(50)]
    ours = AdmissionEngine.connect(server.url).valkey
    sha = (await ours.execute("SCRIPT", "LOAD", "return {1,2,3,4,5,6,7,8,9,10}")).decode()
    pool = redis.asyncio.Redis(port=server.port, max_connections=64)
    figures: Figures = {}
    for n in (1, 32):
        figures[f"one script, this client, {n} at once"] = await least_cpu(
            lambda: ours.execute("EVALSHA", sha, 1, "key", *words), n, 1_600
        )
        figures[f"one script, redis-py, {n} at once"] = await least_cpu(
            lambda: pool.execute_command("EVALSHA", sha, 1, "key", *words), n, 1_600
        )
    await ours.close()
    await pool.aclose()
    return figures


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--json", action="store_true")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory))
        try:
            figures = {
                **uvloop.run(measure_calls(server)),
                **measure_scripts(server),
                **uvloop.run(measure_clients(server)),
            }
        finally:
            server.kill()
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{name:44s} {figure:8.1f} us" for name, figure in figures.items()))


if __name__ == "__main__":
    main()
