"""A provider that costs next to nothing: nginx for whole answers, a raw socket server for streams.

`python -m tests.benchmarks.upstream PORT` is that server. `/slow/` streams stay open until somebody posts to
`/release`. Whole answers are its work too where there is no nginx.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from tests.system import ROOT, free_port

NGINX = Path("/usr/sbin/nginx")
EVENTS = 500
_FEW_EVENTS = 5
_SLOW_EVERY = 2.0

_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 9,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-abc123",
        "object": "chat.completion",
        "created": 1730000000,
        "model": "gpt-4o-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there, how may I assist you today?"},
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
    }
)
_CHUNK = {
    "id": "chatcmpl-abc123",
    "object": "chat.completion.chunk",
    "created": 1730000000,
    "model": "gpt-4o-mini",
    "service_tier": "default",
    "system_fingerprint": "fp_0123456789",
    "choices": [{"index": 0, "delta": {"content": " hello"}, "logprobs": None, "finish_reason": None}],
    "usage": None,
}


def _event(data: bytes) -> bytes:
    framed = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(framed), framed)


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_ONE = _event(orjson.dumps(_CHUNK))
_END = _event(orjson.dumps(_CHUNK | {"choices": [], "usage": _USAGE})) + _event(b"[DONE]") + b"0\r\n\r\n"
_WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(ANSWER),
    ANSWER,
)


@dataclass(frozen=True)
class Upstream:
    """Addresses of the provider; each takes `/chat/completions` after it."""

    whole: str
    streams: str
    nginx: bool

    @property
    def few(self) -> str:
        """Streams of a few events."""
        return f"{self.streams}/few"

    @property
    def fast(self) -> str:
        """Streams of many events, each sent by itself, as fast as they are taken."""
        return f"{self.streams}/fast"

    @property
    def slow(self) -> str:
        """Streams of an event every two seconds."""
        return f"{self.streams}/slow"


@contextmanager
def running_upstream(directory: Path) -> Iterator[Upstream]:
    """Both servers, on the core of this process."""
    with ExitStack() as stack:
        port = free_port()
        streams = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.upstream", str(port)], cwd=ROOT)
        stack.callback(_stop, streams)
        url = f"http://127.0.0.1:{port}"
        _wait_for(port)
        if not NGINX.exists():
            yield Upstream(f"{url}/v1", url, nginx=False)
            return
        whole_port = free_port()
        configuration = directory / "nginx.conf"
        configuration.write_text(_nginx(whole_port, directory))
        nginx = subprocess.Popen([str(NGINX), "-c", str(configuration), "-e", str(directory / "nginx.log")])
        stack.callback(_stop, nginx)
        _wait_for(whole_port)
        yield Upstream(f"http://127.0.0.1:{whole_port}/v1", url, nginx=True)


def _nginx(port: int, directory: Path) -> str:
    temporary = "\n".join(
        f"  {kind}_temp_path {directory}/nginx-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
{temporary}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{ANSWER.decode()}'; }}
  }}
}}
"""


def _wait_for(port: int) -> None:
    import socket

    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"The benchmark's upstream does not listen on port {port}.")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(10)


class _Provider(asyncio.Protocol):
    """Answers requests on one connection."""

    released: asyncio.Event
    _slow: "set[_Provider]" = set()

    def __init__(self) -> None:
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._slow.discard(self)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_ends = self._received.find(b"\r\n\r\n")
        if head_ends < 0:
            return
        head = bytes(self._received[:head_ends]).lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._received) < head_ends + 4 + length:
            return
        self._received.clear()
        self._answer(head.split(b" ", 2)[1])

    def _answer(self, path: bytes) -> None:
        if path.startswith(b"/slow/"):
            self._transport.write(_HEAD + _ONE)
            self._slow.add(self)
        elif path.startswith(b"/fast/"):
            self._task = asyncio.get_running_loop().create_task(self._stream())
        elif path.startswith(b"/few/"):
            self._transport.write(_HEAD + _ONE)
            self._transport.write(_ONE * (_FEW_EVENTS - 1) + _END)
        elif path == b"/release":
            for each in self._slow:
                each._transport.write(_END)
            self._slow.clear()
            self._transport.write(_WHOLE)
        else:
            self._transport.write(_WHOLE)

    async def _stream(self) -> None:
        self._transport.write(_HEAD)
        for _ in range(EVENTS):
            self._transport.write(_ONE)
            # Each event leaves in a packet of its own, as a model's tokens do.
            await asyncio.sleep(0)
            await self._writable.wait()
        self._transport.write(_END)

    @classmethod
    async def tick(cls) -> None:
        """Send every slow stream its next event, for ever."""
        while True:
            await asyncio.sleep(_SLOW_EVERY)
            for each in list(cls._slow):
                each._transport.write(_ONE)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", port, backlog=4096)
    async with server:
        await _Provider.tick()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
