"""How to see that a process is ready."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from deploy.local.ports import LOOPBACK


class Output(Protocol):
    """What a probe may look at: the lines the process has written."""

    def has_written(self, pattern: re.Pattern[str]) -> bool:
        """Whether a recent line matches."""


Probe = Callable[[Output], Awaitable[bool]]


def listens(port: int) -> Probe:
    """Ready when a connection to the loopback port is accepted."""

    async def probe(output: Output) -> bool:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(LOOPBACK, port), 2)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return probe


def answers_http(port: int, path: str) -> Probe:
    """Ready when GET `path` on the loopback port answers 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode()

    async def status_line() -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            writer.write(request)
            return await reader.readline()
        finally:
            writer.close()

    async def probe(_: Output) -> bool:
        try:
            return (await asyncio.wait_for(status_line(), 5)).split()[1:2] == [b"200"]
        except (OSError, TimeoutError, ValueError):
            return False

    return probe


def has_logged(pattern: str) -> Probe:
    """Ready when a line of its output contains a match."""
    compiled = re.compile(pattern)

    async def probe(output: Output) -> bool:
        return output.has_written(compiled)

    return probe


def says_yes(question: Callable[[], bool]) -> Probe:
    """Ready when `question`, asked in a thread because it may block, answers True."""

    async def probe(_: Output) -> bool:
        return await asyncio.to_thread(question)

    return probe
