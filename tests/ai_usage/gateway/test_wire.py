"""The exchange with a provider, on real sockets: what comes back, and what becomes of the connection."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from apps.ai_usage.gateway.wire import Wire

PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=2)


class Provider:
    """A server that answers each request with the next of the given bytes, and remembers what it was sent."""

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers = list(answers)
        self.closes = closes
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.closes:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def talking_to(provider: Provider):
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = Wire(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    try:
        yield wire, f"http://127.0.0.1:{port}/v1/chat/completions"
    finally:
        await wire.close()
        server.close()


def run(provider: Provider, story: Callable[[Wire, str], Awaitable[None]]) -> None:
    async def main() -> None:
        async with talking_to(provider) as (wire, url):
            await story(wire, url)

    asyncio.run(main())


def answer(body: bytes, *headers: bytes) -> bytes:
    lines = (b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_a_request_goes_out_as_written_and_its_answer_comes_back_whole():
    provider = Provider(answer(b'{"a":1}', b"X-Request-Id: r1"))

    async def story(wire, url):
        response = await wire.post(url, {"authorization": "Bearer s"}, b'{"model":"m"}', PATIENCE)

        assert (response.status, response.content_length) == (200, 7)
        assert response.headers["x-request-id"] == "r1"
        assert await response.content.read() == b'{"a":1}'
        host = url.split("/")[2].encode()
        assert provider.requests == [
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: " + host + b"\r\nauthorization: Bearer s\r\n"
            b'content-length: 13\r\n\r\n{"model":"m"}'
        ]

    run(provider, story)


def test_a_connection_is_used_again_once_the_body_has_been_read():
    provider = Provider(answer(b"one"), answer(b"two"))

    async def story(wire, url):
        first = await wire.post(url, {}, b"", PATIENCE)
        assert await first.content.read() == b"one"
        second = await wire.post(url, {}, b"", PATIENCE)
        assert await second.content.read() == b"two"

        assert provider.connections == 1

    run(provider, story)


def test_a_connection_whose_answer_was_not_read_to_its_end_is_never_used_again():
    provider = Provider(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n", answer(b"two"))

    async def story(wire, url):
        first = await wire.post(url, {}, b"", PATIENCE)
        assert await first.content.readany() == b"one"
        first.close()
        second = await wire.post(url, {}, b"", PATIENCE)

        assert await second.content.read() == b"two"
        assert provider.connections == 2

    run(provider, story)


def test_interim_answers_are_passed_over():
    provider = Provider(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + answer(b"real")
    )

    async def story(wire, url):
        response = await wire.post(url, {}, b"", PATIENCE)

        assert (response.status, await response.content.read()) == (200, b"real")

    run(provider, story)


def test_a_body_without_a_length_ends_with_the_connection():
    provider = Provider(b"HTTP/1.1 200 OK\r\n\r\nall of it", closes=True)

    async def story(wire, url):
        response = await wire.post(url, {}, b"", PATIENCE)

        assert response.content_length is None
        assert await response.content.read() == b"all of it"

    run(provider, story)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nname\r\n\r\n", aiohttp.ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", aiohttp.ClientPayloadError),
        (b"", aiohttp.ServerDisconnectedError),
    ],
)
def test_what_is_no_answer_is_an_error_of_the_client_library(said, error):
    provider = Provider(said, closes=True)

    async def story(wire, url):
        with pytest.raises(error):
            await wire.post(url, {}, b"", PATIENCE)

    run(provider, story)


def test_a_provider_that_says_nothing_is_given_up_on():
    provider = Provider(b"")

    async def story(wire, url):
        with pytest.raises(aiohttp.SocketTimeoutError):
            await wire.post(url, {}, b"", aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=0.1))

    run(provider, story)


def test_a_header_with_a_line_break_is_not_sent():
    provider = Provider(answer(b""))

    async def story(wire, url):
        with pytest.raises(ValueError, match="The header authorization"):
            await wire.post(url, {"authorization": "Bearer s\r\nx-evil: 1"}, b"", PATIENCE)

        assert provider.connections == 0

    run(provider, story)


@pytest.mark.parametrize("url", ["ftp://example.com/", "/only/a/path", "http:///nothing"])
def test_an_address_that_is_no_web_servers_is_refused(url):
    async def main() -> None:
        wire = Wire(aiohttp.ClientSession())
        try:
            with pytest.raises(ValueError, match=r"address|URL|host"):
                await wire.post(url, {}, b"", PATIENCE)
        finally:
            await wire.close()

    asyncio.run(main())
