"""The system under measurement: durable services and upstream on one core, the gateway alone on the other."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import requests

from deploy.local import roles
from deploy.local.background import running
from deploy.local.postgres import PostgresServer
from deploy.local.testing import ThrowawayServices
from deploy.local.valkey import ValkeyServer
from tests.benchmarks import load, machine
from tests.benchmarks.upstream import Upstream, running_upstream
from tests.system import ROOT, environment, free_port

PATH = "/v1/chat/completions"
# Granian lets 1,024 requests in at once unless told otherwise; the benchmark has 10,000 streams.
_AT_ONCE = ("--backlog", "16384", "--backpressure", "16384")


def body(model: str) -> bytes:
    """What a small chat asks."""
    messages = [
        {"role": "system", "content": "You are a helpful assistant that answers in one short sentence."},
        {"role": "user", "content": "Say hello to a new colleague, please."},
    ]
    asked: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 64, "temperature": 0.2}
    return orjson.dumps(asked if model == "whole" else asked | {"stream": True})


@dataclass
class Server:
    """Something that passes calls on: its port, its process, and how a request to it looks."""

    name: str
    port: int
    pid: int
    headers: dict[str, str] = field(default_factory=dict)
    # Where the bare application is told to pass a model's requests on to.
    upstreams: dict[str, str] = field(default_factory=dict)

    def request(self, model: str) -> bytes:
        """A call of a model as it goes over the wire."""
        more = {"x-upstream": self.upstreams[model]} if self.upstreams else {}
        return load.post(PATH, body(model), self.headers | more)


class System:
    """One tenant with everything limited, and a gateway that serves it."""

    def __init__(self, directory: Path, services: ThrowawayServices, upstream: Upstream) -> None:
        self.directory = directory
        self.services = services
        self.upstream = upstream
        # Counting the calls of yesterday's leases should not be measured with today's.
        self.environment = environment(services, directory, LOG_LEVEL="WARNING")
        self.prepare("catalogue", upstream.whole, upstream.streams)
        self.tenant = self.more_tenants(0, 1)[0]

    def prepare(self, step: str, *arguments: object) -> Any:
        """Run a step of tests/benchmarks/preparing.py as the control plane."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.preparing", step, *map(str, arguments)],
            cwd=ROOT,
            env=self.environment | {"LOCKSTEP_PLANE": "control", "DATABASE_URL": self.services.control_url},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"The step {step} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def more_tenants(self, first: int, count: int) -> list[dict[str, Any]]:
        """Tenants with numbers from `first` on."""
        made: list[dict[str, Any]] = self.prepare("tenants", first, count)
        return made

    @contextmanager
    def gateway(self) -> Iterator[Server]:
        """The product's web process, alone on its core."""
        command = ("config.asgi:application", "--loop", "uvloop", "--no-ws", *_AT_ONCE)
        with served("lockstep", command, self.directory, self.environment) as server:
            server.headers["authorization"] = f"Bearer {self.tenant['secret']}"
            yield server

    @contextmanager
    def bare(self) -> Iterator[Server]:
        """The pass-through that does nothing, on the same core."""
        command = ("tests.benchmarks.bare:application", "--loop", "uvloop", "--no-ws", *_AT_ONCE)
        with served("bare", command, self.directory, dict(os.environ)) as server:
            streams = self.upstream.streams
            server.upstreams = {
                kind: f"{streams}/{kind}/chat/completions" for kind in ("few", "fast", "slow")
            }
            server.upstreams["whole"] = f"{self.upstream.whole}/chat/completions"
            yield server


@contextmanager
def running_system(directory: Path) -> Iterator[System]:
    """PostgreSQL that forces what it commits to disk, Valkey, and the provider that costs nothing."""
    with ExitStack() as stack:
        postgres = PostgresServer(directory / "postgres", free_port(), "benchmark", durable=True)
        valkey = ValkeyServer(directory / "valkey", free_port(), "benchmark", durable=True)
        for server in (postgres, valkey):
            stack.enter_context(running(server, log=directory / f"{server.name}.log"))
        urls = roles.ensure_roles_and_database(postgres.url(), control_password="c", tenant_password="t")
        services = ThrowawayServices(
            urls.control, urls.tenant, postgres.url(database=roles.DATABASE), valkey.url, str(directory)
        )
        upstream = stack.enter_context(running_upstream(directory))
        yield System(directory, services, upstream)


@contextmanager
def served(
    name: str, application: Sequence[str], directory: Path, environment: dict[str, str]
) -> Iterator[Server]:
    """An ASGI application in one granian process on the measured core."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with started(
        name, [*command, *application], directory, environment, f"http://127.0.0.1:{port}/health/live"
    ) as pid:
        yield Server(name, port, pid)


@contextmanager
def started(
    name: str,
    command: Sequence[str],
    directory: Path,
    environment: dict[str, str],
    ready: str,
    seconds: float = 60,
) -> Iterator[int]:
    """A process on the measured core whose `ready` address answers; stopped at the end."""
    log = directory / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            machine.on_measured_core(command),
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, ready, log, seconds)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", ready: str, log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(ready, timeout=2).status_code < 500:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise RuntimeError(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-3000:]}")
