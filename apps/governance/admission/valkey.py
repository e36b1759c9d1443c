"""A small Valkey client for the hot path: one connection a process, shared by all its coroutines."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from apps.governance.admission.errors import ValkeyError, ValkeyUnavailable
from apps.governance.admission.lua import Script
from apps.governance.admission.resp import pack

# Answers that mean "not now" rather than "wrong": the server is loading, is a replica, is full, or is stuck
# in a script. To a caller they are the same as a server that is away.
_TRANSIENT = (
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY ",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
)

_FIRST_BACKOFF_S = 0.02
_LONGEST_BACKOFF_S = 0.5
_SECOND_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Valkey is and how to sign in, read from a URL."""

    host: str
    port: int
    path: str
    database: int
    username: str
    password: str
    tls: bool


def parse_url(url: str) -> Address:
    """Read `valkey://`, `redis://` (and `…s://` for TLS) or `unix://` URLs with optional user, password and
    database.
    """
    parts = urlsplit(url)
    schemes = {"redis", "rediss", "valkey", "valkeys", "unix"}
    if parts.scheme not in schemes:
        raise ValueError(
            f"A Valkey URL starts with one of {', '.join(sorted(schemes))}, not {parts.scheme!r}."
        )
    is_socket = parts.scheme == "unix"
    query = parse_qs(parts.query)
    if "db" in query:
        database = query["db"][0]
    else:
        database = "" if is_socket else parts.path.strip("/")
    if database and not database.isdigit():
        raise ValueError(f"The database in a Valkey URL is a number, not {database!r}.")
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        path=unquote(parts.path) if is_socket else "",
        database=int(database or 0),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme in {"rediss", "valkeys"},
    )


class Valkey:
    """A multiplexing connection: commands sent in one tick of the event loop leave in one write.

    It belongs to the event loop it first connects in. The connection is made by the first command and again,
    with back-off, by the first command after a loss; while it is away every command fails at once with
    ValkeyUnavailable. A command that exceeds `call_timeout` closes the connection, because the answers after
    it could no longer be told apart in time; what had been sent may or may not have been executed.
    """

    def __init__(
        self,
        url: str,
        *,
        scripts: tuple[Script, ...] = (),
        connect_timeout: float = 1.0,
        call_timeout: float = 1.0,
        name: str = "lockstep",
    ) -> None:
        self.address = parse_url(url)
        self._scripts = scripts
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._name = name
        self._wire: _Wire | None = None
        self._connecting: asyncio.Task[_Wire] | None = None
        self._backoff = 0.0
        self._not_before = 0.0

    @property
    def is_connected(self) -> bool:
        return self._wire is not None and self._wire.is_open

    @property
    def server_id(self) -> str:
        """Names the running server; another one, or the same restarted, has another."""
        return self._wire.server_id if self._wire is not None else ""

    async def execute(self, *command: Any) -> Any:
        """Run one command given as its words: `await valkey.execute("GET", "name")`."""
        return await self.send(pack(command), await self.wire())

    async def run(self, script: Script, keys: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
        """Run a script by its digest; a server that forgot it is told again."""
        packed = pack(("EVALSHA", script.sha, len(keys), *keys, *arguments))
        return await self.run_packed(script, packed)

    async def run_packed(self, script: Script, packed: bytes) -> Any:
        """Like `run` for an EVALSHA command that its caller has encoded already."""
        wire = self._wire
        if wire is None or not wire.is_open:
            wire = await self.wire()
        try:
            return await wire.send(packed)
        except _ScriptMissing:
            await self.send(pack(("SCRIPT", "LOAD", script.source)), wire)
            return await self.send(packed, wire)

    async def send(self, packed: bytes, wire: "_Wire") -> Any:
        try:
            return await wire.send(packed)
        except _ScriptMissing as missing:
            raise ValkeyError(str(missing)) from None

    async def wire(self) -> "_Wire":
        """The open connection, made if need be. Concurrent callers share one attempt."""
        if self._wire is not None and self._wire.is_open:
            return self._wire
        loop = asyncio.get_running_loop()
        if self._connecting is None:
            if loop.time() < self._not_before:
                raise ValkeyUnavailable("Valkey is away; waiting before the next attempt to connect.")
            self._connecting = loop.create_task(self._connect(loop))
        # Shielded so that a caller who gives up does not take the attempt from the others.
        return await asyncio.shield(self._connecting)

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._wire is not None:
            self._wire.drop("The connection was closed.")
            self._wire = None

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> "_Wire":
        try:
            async with asyncio.timeout(self._connect_timeout):
                wire = await self._open(loop)
                await self._greet(wire)
        except (OSError, TimeoutError, ValkeyError, ValkeyUnavailable) as failure:
            self._backoff = min(max(self._backoff * 2, _FIRST_BACKOFF_S), _LONGEST_BACKOFF_S)
            self._not_before = loop.time() + self._backoff
            if isinstance(failure, ValkeyError):
                raise
            raise ValkeyUnavailable(
                f"Valkey cannot be reached: {failure or 'no answer in time'}."
            ) from failure
        finally:
            self._connecting = None
        self._backoff = 0.0
        self._wire = wire
        return wire

    async def _open(self, loop: asyncio.AbstractEventLoop) -> "_Wire":
        address = self.address

        def make() -> _Wire:
            return _Wire(loop, self._call_timeout)

        if address.path:
            return (await loop.create_unix_connection(make, address.path))[1]
        tls = ssl.create_default_context() if address.tls else None
        return (await loop.create_connection(make, address.host, address.port, ssl=tls))[1]

    async def _greet(self, wire: "_Wire") -> None:
        hello: list[Any] = ["HELLO", 2]
        if self.address.password:
            hello += ["AUTH", self.address.username or "default", self.address.password]
        words: list[list[Any]] = [[*hello, "SETNAME", self._name]]
        if self.address.database:
            words.append(["SELECT", self.address.database])
        words.append(["INFO", "server"])
        told = len(words) - 1
        words += [["SCRIPT", "LOAD", script.source] for script in self._scripts]
        try:
            answers = await asyncio.gather(*(self.send(pack(tuple(each)), wire) for each in words))
        except BaseException:
            wire.drop("The greeting failed.")
            raise
        wire.server_id = _run_id(answers[told])


class _ScriptMissing(Exception):
    pass


class _Wire(asyncio.Protocol):
    """One connection: writes gathered per loop tick, answers matched to their askers in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop = loop
        self._timeout = timeout
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        # Each waiting asker with the time of its question. Answers come in order, so the head is the oldest,
        # and one timer per connection is enough: a timer per command would cost more than the command.
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watchdog: asyncio.TimerHandle | None = None
        self._overdue: asyncio.Future[Any] | None = None
        self.is_open = False
        self.server_id = ""

    def send(self, packed: bytes) -> "asyncio.Future[Any]":
        loop = self._loop
        answer = loop.create_future()
        if not self.is_open:
            answer.set_exception(ValkeyUnavailable("The connection to Valkey was lost."))
            return answer
        now = loop.time()
        if not self._unsent:
            loop.call_soon(self._flush)
        self._unsent.append(packed)
        self._waiting.append((answer, now))
        if self._watchdog is None:
            self._watchdog = loop.call_at(now + self._timeout, self._check)
        return answer

    def drop(self, reason: str) -> None:
        """Close at once and fail everything that waits."""
        self.is_open = False
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._transport is not None:
            self._transport.abort()
        self._unsent.clear()
        while self._waiting:
            answer, _ = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(ValkeyUnavailable(reason))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, since uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop(f"The connection to Valkey was lost: {exc or 'closed by the server'}.")

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        waiting = self._waiting
        reader.feed(data)
        try:
            reply = reader.gets()
            # The reader says False for "no whole answer yet"; in RESP2 no answer is a boolean.
            while reply is not False:
                answer, _ = waiting.popleft()
                if not answer.done():
                    if isinstance(reply, hiredis.ReplyError):
                        answer.set_exception(_error(str(reply)))
                    else:
                        answer.set_result(reply)
                reply = reader.gets()
        except (hiredis.ProtocolError, IndexError) as failure:
            self.drop(f"Valkey sent something that is not an answer: {failure}.")

    def _flush(self) -> None:
        if self._transport is not None and self._unsent:
            self._transport.write(self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent))
            self._unsent.clear()

    def _check(self) -> None:
        self._watchdog = None
        if not self._waiting:
            return
        oldest, asked_at = self._waiting[0]
        deadline = asked_at + self._timeout
        if deadline > self._loop.time():
            self._watchdog = self._loop.call_at(deadline, self._check)
        elif oldest is not self._overdue:
            # Perhaps it was this process that stood still, and the answer is there to be read: look again after
            # the event loop had its turn.
            self._overdue = oldest
            self._watchdog = self._loop.call_later(_SECOND_LOOK_S, self._check)
        else:
            self.drop(f"Valkey did not answer within {self._timeout:g} s.")


def _run_id(info: bytes) -> str:
    for line in info.decode().splitlines():
        name, _, value = line.partition(":")
        if name == "run_id":
            return value
    return ""


def _error(message: str) -> Exception:
    if message.startswith("NOSCRIPT"):
        return _ScriptMissing(message)
    if message.startswith(_TRANSIENT):
        return ValkeyUnavailable(f"Valkey cannot serve now: {message}")
    return ValkeyError(message)
