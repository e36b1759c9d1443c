"""Keeps the processes of one local system: started in order, watched, stopped together, none left behind."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from deploy.local import watchdog
from deploy.local.console import Console
from deploy.local.errors import LocalServiceError
from deploy.local.program import Program, Running

_PROBE_SECONDS = 0.05
_WISH_SECONDS = 0.5


class Supervisor:
    """Runs programs in waves: one starts when the one before is ready, and stops when the one after has.

    When the supervisor itself is killed, each child gets its stop signal from the system, and the watchdog
    kills what doesn't heed it.
    """

    def __init__(self, *, logs: Path, console: Console) -> None:
        self._logs = logs
        self._console = console
        self._waves: list[list[Running]] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._failure: asyncio.Future[LocalServiceError] | None = None
        self._stop_asked: asyncio.Event | None = None

    def run(
        self, body: Callable[[], Awaitable[None]], *, wish_to_stop: Callable[[], bool] = lambda: False
    ) -> int:
        """Run `body`, which starts programs; then watch until a signal, `wish_to_stop` or a crash. Exit code.

        A signal while `body` still runs cancels it. A second signal kills everything at once.
        """
        return asyncio.run(self._run(body, wish_to_stop))

    async def start(self, *programs: Program) -> None:
        """Start one wave and wait until each of it is ready."""
        wave: list[Running] = []
        self._waves.append(wave)
        for program in programs:
            wave.append(self._launch(program))
        await asyncio.gather(*(self._wait_until_ready(running) for running in wave))

    async def finish(self, program: Program) -> bytes:
        """Run a program to its end; its captured output. Not ending well is an error with its last words."""
        running = self._launch(program)
        wave = [running]
        self._waves.append(wave)
        running.stopping = True  # Its end is no crash.
        code = await asyncio.shield(running.ended)
        self._waves.remove(wave)
        if code != 0:
            raise _ended(running, code)
        return running.captured

    @property
    def pids(self) -> dict[str, int]:
        """The process of each running program."""
        return {running.program.name: running.pid for wave in self._waves for running in wave}

    async def _run(self, body: Callable[[], Awaitable[None]], wish_to_stop: Callable[[], bool]) -> int:
        loop = asyncio.get_running_loop()
        self._failure = loop.create_future()
        self._stop_asked = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        self._start_watchdog()
        started: asyncio.Future[Any] = asyncio.ensure_future(body())
        endings: list[asyncio.Future[Any]] = [
            self._failure,
            asyncio.ensure_future(self._stop_asked.wait()),
            asyncio.ensure_future(_until(wish_to_stop)),
        ]
        try:
            await asyncio.wait([started, *endings], return_when=asyncio.FIRST_COMPLETED)
            if started.done() and not started.cancelled() and (error := started.exception()):
                return self._report(error)
            await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                return self._report(self._failure.result())
            return 0
        finally:
            for task in (started, *endings):
                task.cancel()
            await asyncio.gather(started, *endings, return_exceptions=True)
            await self._stop()
            self._end_watchdog()

    def _report(self, error: BaseException) -> int:
        if not isinstance(error, LocalServiceError):
            raise error
        self._console.show(f"\n{error}\n")
        return 1

    def _on_signal(self) -> None:
        assert self._stop_asked is not None
        if self._stop_asked.is_set():
            for wave in self._waves:
                for running in wave:
                    running.kill()
        self._stop_asked.set()

    def _launch(self, program: Program) -> Running:
        running = Running.start(program, logs=self._logs, console=self._console)
        self._tell_watchdog(f"+ {running.pid} {int(program.stop_signal)} {program.grace}")
        running.ended.add_done_callback(lambda ended: self._on_end(running, ended))
        return running

    def _on_end(self, running: Running, ended: asyncio.Task[int]) -> None:
        self._tell_watchdog(f"- {running.pid}")
        if running.stopping or ended.cancelled() or self._failure is None or self._failure.done():
            return
        self._failure.set_result(_ended(running, ended.result()))

    async def _wait_until_ready(self, running: Running) -> None:
        program = running.program
        deadline = time.monotonic() + program.start_timeout
        while not await running.is_ready():
            if running.ended.done():
                raise _ended(running, running.ended.result())
            if time.monotonic() > deadline:
                raise LocalServiceError(
                    f"{program.name} was not ready after {program.start_timeout:g} seconds. "
                    f"Its last lines (all: {running.log_path}):\n{running.last_words()}"
                )
            await asyncio.sleep(_PROBE_SECONDS)

    async def _stop(self) -> None:
        while self._waves:
            wave = [running for running in self._waves[-1] if not running.ended.done()]
            for running in wave:
                running.ask_to_stop()
            await asyncio.gather(*(self._wait_for_end(running) for running in wave))
            self._waves.pop()

    async def _wait_for_end(self, running: Running) -> None:
        grace = running.program.grace
        await asyncio.wait([running.ended], timeout=grace)
        if not running.ended.done():
            self._console.show(f"{running.program.name} did not stop within {grace:g} seconds and is killed.")
            running.kill()
            await running.ended

    def _start_watchdog(self) -> None:
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(watchdog.__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Out of reach of a signal to the supervisor's group.
            start_new_session=True,
        )

    def _tell_watchdog(self, order: str) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            # Should somebody have killed it, there is one safety net less; the system runs on.
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(order.encode() + b"\n")

    def _end_watchdog(self) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(_WISH_SECONDS)


def _ended(running: Running, code: int) -> LocalServiceError:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return LocalServiceError(
        f"{running.program.name} {how}, so everything else was stopped. "
        f"Its last lines (all: {running.log_path}):\n{running.last_words()}"
    )
