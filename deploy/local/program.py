"""One supervised process: how it is started, its log, its last words, its end."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self, TextIO

from deploy.local.console import Console
from deploy.local.launch import launched
from deploy.local.probes import Probe
from deploy.local.system_user import SystemUser

EVERY_LINE = re.compile("")
NO_LINE = re.compile(r"(?!)")

_LOG_LIMIT = 20_000_000
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Program:
    """What to run under a supervisor, and how to know, stop and show it."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(repr=False)
    # Ready when the probe says so and a line of its output has matched; each only where given.
    ready: Probe | None = None
    ready_line: re.Pattern[str] | None = None
    directory: Path | None = None
    user: SystemUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10
    # Long, because a crash is seen at once and a busy machine may need a minute for what takes seconds.
    start_timeout: float = 180
    # Lines that match are shown on the console; all are in the log.
    shown: re.Pattern[str] = EVERY_LINE
    # Standard output is kept for the caller and neither logged nor shown.
    captured: bool = False


class Running:
    """A started program. `ended` gives the exit code when the process is gone and its output is written."""

    def __init__(
        self, program: Program, process: subprocess.Popen[bytes], log_path: Path, console: Console
    ) -> None:
        self.program = program
        self.log_path = log_path
        self.pid = process.pid
        self.stopping = False
        self.captured = b""
        self._process = process
        self._console = console
        self._recent: deque[str] = deque(maxlen=50)
        self._has_said_ready = program.ready_line is None
        self.ended: asyncio.Task[int] = asyncio.create_task(self._follow())

    @classmethod
    def start(cls, program: Program, *, logs: Path, console: Console) -> Self:
        """Start the process in a group of its own."""
        # Not asyncio's own subprocesses: depending on the version of Python, their wait() also waits until
        # every grandchild has closed the pipe.
        process = subprocess.Popen(
            launched(
                program.command,
                death_signal=program.stop_signal,
                user=(program.user.uid, program.user.gid) if program.user else None,
                directory=program.directory,
            ),
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if program.captured else subprocess.STDOUT,
            # Ctrl-C in a terminal then reaches the supervisor alone, which stops the others in order.
            process_group=0,
        )
        return cls(program, process, logs / f"{program.name}.log", console)

    async def is_ready(self) -> bool:
        """Whether it does its work now."""
        if not self._has_said_ready:
            return False
        return self.program.ready is None or await self.program.ready()

    def last_words(self, lines: int = 15) -> str:
        """The end of its output, indented."""
        return "\n".join(f"    {line}" for line in list(self._recent)[-lines:]) or "    (it wrote nothing)"

    def ask_to_stop(self) -> None:
        """Send the polite signal, to the leader alone: its children are its own to stop."""
        self.stopping = True
        self._process.send_signal(self.program.stop_signal)

    def kill(self) -> None:
        """Kill it and whatever it started."""
        self.stopping = True
        self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _follow(self) -> int:
        with _open_log(self.log_path) as log:
            readers = [asyncio.create_task(self._read_lines(pipe, log)) for pipe in self._log_pipes()]
            if self.program.captured:
                readers.append(asyncio.create_task(self._capture()))
            while (code := self._process.poll()) is None:
                await asyncio.sleep(_POLL_SECONDS)
            # What it left behind in its group is nobody's any more.
            self._kill_group()
            await asyncio.wait(readers, timeout=2)
            for reader in readers:
                reader.cancel()
        return code

    def _log_pipes(self) -> list[IO[bytes]]:
        pipe = self._process.stderr if self.program.captured else self._process.stdout
        return [pipe] if pipe else []

    async def _capture(self) -> None:
        assert self._process.stdout is not None
        self.captured = await (await _reader_of(self._process.stdout)).read()

    async def _read_lines(self, pipe: IO[bytes], log: TextIO) -> None:
        reader = await _reader_of(pipe)
        rest = b""
        while chunk := await reader.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            # Flushed once for all of them, so that the file is as current as the console.
            self._record(lines, log)
        if rest:
            self._record([rest], log)

    def _record(self, lines: list[bytes], log: TextIO) -> None:
        for raw in lines:
            line = raw.decode(errors="replace").rstrip("\r")
            log.write(line + "\n")
            self._recent.append(line)
            if self.program.ready_line is not None and self.program.ready_line.search(line):
                self._has_said_ready = True
            if self.program.shown.search(line):
                self._console.show_from(self.program.name, line)
        log.flush()


async def _reader_of(pipe: IO[bytes]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def _open_log(path: Path) -> TextIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return open(path, "a", encoding="utf-8")
