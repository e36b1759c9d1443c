"""One attempt at one endpoint: connect to the checked address, post, read a little of the answer, hang up."""

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from apps.governance.errors import WebhookAddressRefused
from apps.governance.webhooks import signing
from apps.governance.webhooks.addresses import Target, check_address, checked_target

TOTAL_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_EXCERPT_BYTES = 1024
_EXCERPT_CHARACTERS = 500
_MOST_RETRY_AFTER = 3600
AGENT = "Lockstep-Webhooks/1.0"
_CONTROL = dict.fromkeys([*range(32), 127, *range(128, 160)], " ")


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted where."""

    endpoint_id: UUID
    url: str
    message_id: str
    body: bytes
    secrets: list[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended."""

    at: float  # seconds since 1970
    status: int | None  # None: no answer
    milliseconds: int
    error: str = ""
    excerpt: str = ""
    retry_after: int | None = None

    @property
    def was_accepted(self) -> bool:
        """A 2xx answer; whatever else was said is not read."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The endpoint asks not to be called again."""
        return self.status == 410


class _Checked(AbstractResolver):
    """Answers with the addresses that were checked, whatever the name means by now."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != self._target.host:
            raise OSError(f"{host} was not asked for")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._target.addresses
        ]

    async def close(self) -> None:
        """Holds nothing."""


async def send(message: Message) -> Outcome:
    """Post a message; never raises for anything the other side does."""
    began_at, began = time.time(), time.monotonic()

    def outcome(status: int | None = None, **more: Any) -> Outcome:
        return Outcome(began_at, status, round((time.monotonic() - began) * 1000), **more)

    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            target = await asyncio.to_thread(checked_target, message.url)
            return await _post(message, target, int(began_at), outcome)
    except WebhookAddressRefused as refused:
        return outcome(error=refused.message)
    except TimeoutError:
        return outcome(error=f"It took longer than {TOTAL_SECONDS:.0f} seconds.")
    except ssl.SSLError as wrong:
        return outcome(error=_words(f"TLS failed: {wrong}"))
    except (aiohttp.ClientError, OSError, ValueError) as wrong:
        return outcome(error=_words(str(wrong) or type(wrong).__name__))


async def _post(message: Message, target: Target, timestamp: int, outcome: Any) -> Outcome:
    headers = signing.headers(
        message.secrets, message_id=message.message_id, timestamp=timestamp, body=message.body
    )
    headers |= {"content-type": "application/json", "user-agent": AGENT, "accept-encoding": "identity"}
    connector = aiohttp.TCPConnector(
        resolver=_Checked(target),
        use_dns_cache=False,
        force_close=True,
        socket_factory=_socket_to(target),
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
    ) as session:
        url = URL(target.url, encoded=True)
        if url.host != target.host or url.port != target.port:
            raise WebhookAddressRefused("its host is not plain")
        async with session.post(url, data=message.body, headers=headers, allow_redirects=False) as answer:
            status = answer.status
            # 410 ends it and 2xx is enough: a body that drips in does not change either.
            raw = b"" if answer.headers.get("content-encoding") else await _beginning(answer)
            excerpt = _words(raw.decode("utf-8", "replace"))
            error = "" if 200 <= status < 300 else f"It answered {status}."
            if 300 <= status < 400:
                error = f"It answered {status}: redirects are not followed. Enter the address it leads to."
            return outcome(status, error=error, excerpt=excerpt, retry_after=_retry_after(answer))


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The first bytes of the body, for at most a second; the rest is not read."""
    got = b""
    try:
        async with asyncio.timeout(1.0):
            while len(got) < _EXCERPT_BYTES:
                piece = await answer.content.read(_EXCERPT_BYTES - len(got))
                if not piece:
                    break
                got += piece
    except (TimeoutError, aiohttp.ClientError):
        pass  # the status counts; a broken body only shortens the excerpt
    return got


def _socket_to(target: Target) -> Any:
    """The last gate: no socket is made to an address that was not checked for this very attempt."""

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if address[0] not in target.addresses:
            check_address(address[0])
            raise WebhookAddressRefused(f"{address[0]} was not asked for")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make


def _retry_after(answer: aiohttp.ClientResponse) -> int | None:
    text = answer.headers.get("retry-after", "")
    return min(int(text), _MOST_RETRY_AFTER) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _words(text: str) -> str:
    return " ".join(text.translate(_CONTROL).replace("\x00", " ").split())[:_EXCERPT_CHARACTERS]
