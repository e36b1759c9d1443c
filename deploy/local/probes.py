"""How to see from outside that a process is ready."""

import asyncio
from collections.abc import Awaitable, Callable

from deploy.local.ports import LOOPBACK

Probe = Callable[[], Awaitable[bool]]


def listens(port: int) -> Probe:
    """Ready when a connection to the loopback port is accepted."""

    async def probe() -> bool:
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

    async def probe() -> bool:
        try:
            return (await asyncio.wait_for(status_line(), 5)).split()[1:2] == [b"200"]
        except (OSError, TimeoutError, ValueError):
            return False

    return probe


def says_yes(question: Callable[[], bool]) -> Probe:
    """Ready when `question`, asked in a thread because it may block, answers True."""

    async def probe() -> bool:
        return await asyncio.to_thread(question)

    return probe
