"""A load generator cheap enough not to be the bottleneck: keep-alive HTTP/1.1 on raw sockets."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import uvloop

_MARK = b"data: "


@dataclass
class Result:
    """What a run of requests came to. Times in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    events: int = 0
    failures: int = 0
    first_failure: str = ""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    @property
    def events_per_second(self) -> float:
        """Server-sent events a second."""
        return self.events / self.seconds

    def require_success(self) -> "Result":
        """Itself, if every answer was a 200: figures of failing requests mean nothing."""
        if self.failures or not self.latencies:
            raise RuntimeError(f"{self.failures} requests failed; the first: {self.first_failure!r}")
        return self


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", "content-type: application/json"]
    lines += [f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One connection that sends a request, waits for the whole answer, and sends the next."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._head_ends = -1
        self._length = 0
        self._is_chunked = False
        self._seen = 0
        self._first: float | None = None
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.closed(bytes(self._received[:200]))

    def _send(self) -> None:
        request = self._run.next_request()
        assert self._transport is not None
        if request is None:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if self._head_ends < 0 and not self._read_head():
            return
        body_begins = self._head_ends + 4
        if self._is_chunked:
            self._count(body_begins)
            if not received.endswith(b"0\r\n\r\n"):
                return
        elif len(received) < body_begins + self._length:
            return
        now = time.perf_counter()
        is_ok = received.startswith(b"HTTP/1.1 200")
        self._run.answered(now - self._began, self._first, b"" if is_ok else bytes(received[:600]))
        received.clear()
        self._head_ends, self._seen, self._first = -1, 0, None
        self._send()

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._head_ends = self._seen = end
        head = bytes(self._received[:end]).lower()
        at = head.find(b"\r\ncontent-length:")
        self._is_chunked = at < 0
        if at >= 0:
            self._length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        return True

    def _count(self, body_begins: int) -> None:
        """Count the events that have come; one may be cut in two by the network."""
        events = self._received.count(_MARK, max(self._seen - len(_MARK) + 1, body_begins))
        self._seen = len(self._received)
        if events and self._first is None:
            self._first = time.perf_counter() - self._began
            self._run.began_to_answer()
        self._run.result.events += events


class Run:
    """Connections that work together until a time or a number is reached."""

    def __init__(self, requests: Sequence[bytes], *, ends: float | None, most: int | None) -> None:
        self._requests: Iterator[bytes] = itertools.cycle(requests)
        self._ends = ends
        self._left = most
        self._open = 0
        self._begun = 0
        self._wanted = 0
        self.result = Result()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.all_begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, port: int, connections: int) -> None:
        """Open the connections, not all at one moment."""
        loop = asyncio.get_running_loop()
        self._wanted += connections
        for number in range(connections):
            self._open += 1
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            if number % 50 == 49:
                await asyncio.sleep(0.02)

    def next_request(self) -> bytes | None:
        """What to send next, if anything."""
        if self._ends is not None and time.perf_counter() >= self._ends:
            return None
        if self._left is not None:
            if self._left <= 0:
                return None
            self._left -= 1
        return next(self._requests)

    def answered(self, latency: float, first: float | None, failure: bytes) -> None:
        """Take down one whole answer."""
        self.result.latencies.append(latency)
        if first is not None:
            self.result.first_bytes.append(first)
        if failure:
            self.result.failures += 1
            self.result.first_failure = self.result.first_failure or failure.decode("latin-1")

    def began_to_answer(self) -> None:
        """Take down that one more stream has begun."""
        self._begun += 1
        if self._begun == self._wanted and not self.all_begun.done():
            self.all_begun.set_result(None)

    def closed(self, unread: bytes) -> None:
        """Take down that one connection is gone."""
        self._open -= 1
        if unread:
            self.result.failures += 1
            self.result.first_failure = self.result.first_failure or f"cut after {unread!r}"
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)


def run(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float | None = None,
    most: int | None = None,
) -> Result:
    """Send requests over so many connections for a time, or so many of them."""

    async def all_of_them() -> Result:
        began = time.perf_counter()
        going = Run(requests, ends=began + seconds if seconds else None, most=most)
        await going.connect(port, connections)
        await going.done
        going.result.seconds = time.perf_counter() - began
        return going.result

    return uvloop.run(all_of_them()).require_success()
