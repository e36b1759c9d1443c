"""One POST over a pooled connection of aiohttp: its connector, TLS and parser, without its request objects.

`ClientSession.post` makes a request, a response and a dozen more objects for features that a gateway does not use
(cookies, redirects, decompression, middleware). They cost as much as everything else that asking a provider takes,
so the head is written here and the answer taken from the connection's parser.
"""

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MOST_PLACES = 10_000


class Response:
    """An answer's head, and its body as it comes. The connection goes back to the pool when the body has ended."""

    __slots__ = ("_connection", "content", "content_length", "headers", "status")

    def __init__(
        self, connection: Connection, status: int, headers: dict[str, str], content: aiohttp.StreamReader
    ) -> None:
        self._connection: Connection | None = connection
        self.status = status
        self.headers = headers
        self.content = content
        declared = headers.get("content-length", "")
        self.content_length = int(declared) if declared.isascii() and declared.isdigit() else None
        content.on_eof(self._release)

    def close(self) -> None:
        """Drop the connection unless the body has ended: what comes is not wanted any more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


class _Place(NamedTuple):
    """Where requests to one address go: what the connector knows it by, and their first two lines."""

    connects: ClientRequest
    head: str


class Wire:
    """Sends requests over the connections of one session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._places: dict[str, _Place] = {}

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, patience: aiohttp.ClientTimeout
    ) -> Response:
        """Send a request and wait for the head of the answer.

        Raises aiohttp.ConnectionTimeoutError or ClientConnectorError where there is no connection, another
        aiohttp.ClientError or an OSError where it is lost, and ValueError for an address or header that cannot
        be sent.
        """
        place = self._places.get(url) or self._place(url)
        lines = [place.head]
        for name, value in headers.items():
            if _UNSAFE.search(value):
                raise ValueError(f"The header {name} has a character that headers cannot have.")
            lines.append(f"{name}: {value}\r\n")
        lines.append(f"content-length: {len(body)}\r\n\r\n")
        head = "".join(lines).encode("latin-1")
        connector = self._session.connector
        if connector is None:
            raise aiohttp.ClientConnectionError("This process is stopping.")
        try:
            connection = await connector.connect(place.connects, traces=[], timeout=patience)
        except TimeoutError as late:
            raise aiohttp.ConnectionTimeoutError(f"No connection to {url} in time.") from late
        try:
            return await _exchange(connection, head, body, patience)
        except HttpProcessingError as wrong:
            connection.close()
            raise aiohttp.ClientPayloadError(f"not an HTTP answer: {wrong.message[:200]}") from wrong
        except BaseException:
            connection.close()
            raise

    def _place(self, url: str) -> _Place:
        address = URL(url)
        if address.scheme not in ("http", "https") or not address.raw_host:
            raise ValueError(f"{url!r} is no address of a web server.")
        # The connector takes from it where to connect to; it is never sent itself.
        connects = ClientRequest("POST", address, loop=asyncio.get_running_loop(), session=self._session)
        head = f"POST {address.raw_path_qs} HTTP/1.1\r\nhost: {connects.headers['host']}\r\n"
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        place = self._places[url] = _Place(connects, head)
        return place


async def _exchange(
    connection: Connection, head: bytes, body: bytes, patience: aiohttp.ClientTimeout
) -> Response:
    protocol, transport = connection.protocol, connection.transport
    if transport is None or protocol is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    assert isinstance(protocol, ResponseHandler)
    protocol.set_response_params(
        read_until_eof=True, auto_decompress=False, read_timeout=patience.sock_read, read_bufsize=2**16
    )
    # Before it is sent, so that waiting for the answer is within the time that reading may take.
    protocol.start_timeout()
    transport.writelines((head, body))
    while True:
        message, content = await protocol.read()
        # Interim answers (100, 103) announce the real one.
        if message.code >= HTTPStatus.OK or message.code == HTTPStatus.SWITCHING_PROTOCOLS:
            break
    return Response(
        connection, message.code, {name.lower(): value for name, value in message.headers.items()}, content
    )
