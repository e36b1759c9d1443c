"""One run of the harness: an island, its load, its accidents, quiet, and the checker's findings."""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import requests

from tests.faults import checker
from tests.faults.books import Books
from tests.faults.load import Load, Webs
from tests.faults.plan import BEHAVIOURS, NOW_AND_THEN, Accident, accidents, calls
from tests.island import Island
from tests.system import Web

_DRAIN_SECONDS = 40


@dataclass(frozen=True)
class Ending:
    """A process of the gateway that ended or stood still, and when."""

    how: str  # killed | drained | paused
    web: int
    life: int
    began: float
    ended: float


class World:
    """An island with tenants, two web processes, and everything that was done to them."""

    def __init__(self, directory: Path, stack: ExitStack, *, say: Callable[[str], None]) -> None:
        self.island = Island(directory, stack)
        self.tenants: list[Any] = json.loads(self.island.run("-m", "tests.faults.world", "make"))
        self.webs = Webs()
        self.endings: list[Ending] = []
        self._say = say
        self._running: list[tuple[AbstractContextManager[Web], Web] | None] = [None, None]
        stack.callback(self.end_webs)

    def begin_web(self, number: int) -> None:
        """Start a web process; clients find it at once."""
        entered = self.island.web()
        web = entered.__enter__()
        self._running[number] = (entered, web)
        self.webs.lives[number] += 1
        self.webs.urls[number] = web.url

    def end_webs(self) -> None:
        """Stop both, politely."""
        for number in range(2):
            self._drain(number)

    def _web(self, number: int) -> Web:
        running = self._running[number]
        assert running is not None
        return running[1]

    def _drain(self, number: int) -> None:
        running, self._running[number] = self._running[number], None
        if running is not None:
            # Leaving the block sends SIGTERM and waits.
            running[0].__exit__(None, None, None)

    def _note(self, how: str, number: int, began: float) -> None:
        self.endings.append(Ending(how, number, self.webs.lives[number], began, time.monotonic()))

    def happen(self, accident: Accident) -> None:
        """Let an accident happen, and mend it."""
        self._say(f"  {accident.kind} web={accident.web} for {accident.lasts:.1f} s")
        getattr(self, f"_{accident.kind}")(accident)

    def _kill_web(self, accident: Accident) -> None:
        began = time.monotonic()
        self._web(accident.web).kill()
        self._note("killed", accident.web, began)
        self._drain(accident.web)
        time.sleep(accident.lasts / 2)
        self.begin_web(accident.web)

    def _drain_web(self, accident: Accident) -> None:
        began = time.monotonic()
        process = self._web(accident.web).process
        process.send_signal(signal.SIGTERM)
        process.wait(_DRAIN_SECONDS)
        self._note("drained", accident.web, began)
        self._drain(accident.web)
        self.begin_web(accident.web)

    def _pause_web(self, accident: Accident) -> None:
        began = time.monotonic()
        group = self._web(accident.web).process.pid
        os.killpg(group, signal.SIGSTOP)
        time.sleep(self.island.lease_seconds + accident.lasts)
        os.killpg(group, signal.SIGCONT)
        self._note("paused", accident.web, began)

    def _stop_postgres(self, accident: Accident) -> None:
        self._away("postgres", accident, self.island.stop)

    def _kill_postgres(self, accident: Accident) -> None:
        self._away("postgres", accident, self.island.kill)

    def _stop_valkey(self, accident: Accident) -> None:
        self._away("valkey", accident, self.island.stop)

    def _kill_valkey(self, accident: Accident) -> None:
        self._away("valkey", accident, self.island.kill)

    def _away(self, name: str, accident: Accident, end: Callable[[str], None]) -> None:
        end(name)
        time.sleep(accident.lasts)
        self.island.start(name)

    def _flush_valkey(self, accident: Accident) -> None:
        with redis.Redis.from_url(self.island.services.valkey_url) as valkey:
            valkey.flushall()

    def _kill_web_with_a_full_spool(self, accident: Accident) -> None:
        self.island.stop("postgres")
        time.sleep(accident.lasts)
        began = time.monotonic()
        self._web(accident.web).kill()
        self._note("killed", accident.web, began)
        self._drain(accident.web)
        self._flush_valkey(accident)
        self.island.start("postgres")
        # For a while the other process has to do without what the dead one wrote down.
        time.sleep(1)
        self.begin_web(accident.web)


def run(
    seed: int,
    directory: Path,
    *,
    call_count: int,
    accident_count: int,
    clients: int,
    say: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Run one seed in an empty directory; returns what does not hold, in sentences. Nothing is left running."""
    with ExitStack() as stack:
        world = World(directory, stack, say=say)
        for number in range(2):
            world.begin_web(number)
        simulator = world.island.simulator
        for name, effect in BEHAVIOURS.items():
            if effect:
                simulator.add_fault(effect, match={"user": f"*.{name}"})
        for name, effect in NOW_AND_THEN.items():
            simulator.add_fault(effect, match={"user": f"*.{name}"}, probability=0.5, seed=seed)
        # The first provider of the route with a second one.
        simulator.add_fault(
            {"status": 500}, match={"model": "gpt-4o", "user": "*"}, probability=0.5, seed=seed
        )

        load = Load(seed, calls(seed, call_count), world.tenants, world.webs, clients=clients)
        load.start()
        for accident in accidents(seed, accident_count):
            time.sleep(accident.pause)
            world.happen(accident)
        time.sleep(1)
        load.enough()
        load.join(120)
        if load.is_alive():
            return ["clients still wait for answers two minutes after the last accident"]
        return _after(world, load, say)


def _after(world: World, load: Load, say: Callable[[str], None]) -> list[str]:
    island = world.island
    books = Books(island, world.tenants)
    problems = _come_to_rest(world, books)
    answers = Counter(told.status or ("left" if told.left else "not reached") for told in load.told)
    say(f"  {len(load.told)} calls: {', '.join(f'{count} {how}' for how, count in answers.most_common())}")
    island.run("-m", "tests.faults.world", "roll-up")
    served = island.simulator.settled(seconds=30, billed="any")
    problems += checker.check_answers(load.told, world.endings)
    problems += checker.check_provider(load.told, world.endings, served, books)
    problems += checker.check_repetitions(load.told, books)
    problems += checker.check_budgets(load.told, world.endings, books)
    problems += checker.check_sums(books)
    return problems


def _come_to_rest(world: World, books: Books) -> list[str]:
    """Wait until leases are over and spools are empty; the next callers tidy up after the dead."""
    until = time.monotonic() + 60
    while True:
        for tenant in world.tenants:
            for key in tenant["keys"]:
                for url in world.webs.urls:
                    with contextlib.suppress(requests.RequestException):
                        _probe(url, key["secret"])
        time.sleep(0.5)
        held = books.still_held()
        if not held:
            return []
        if time.monotonic() > until:
            return [f"a minute after the last call: {one}" for one in held]
        time.sleep(0.5)


def _probe(url: str, secret: str) -> None:
    requests.post(
        f"{url}/v1/chat/completions",
        json={"model": "small", "messages": [{"role": "user", "content": "probe"}], "max_tokens": 1},
        headers={"authorization": f"Bearer {secret}"},
        timeout=30,
    )
