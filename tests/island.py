"""A system of its own for tests that break it: PostgreSQL, Valkey and a provider that stop, die and come back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deploy.local import roles
from deploy.local.background import running
from deploy.local.model_simulator.testing import SimulatorControl, running_model_simulator
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from deploy.local.testing import ThrowawayServices
from deploy.local.valkey import ValkeyServer
from tests.system import ROOT, Web, environment, running_web

_SERVICES = ("postgres", "valkey")


class Island:
    """Services below one directory, and processes of the product over them. Leave it by closing `stack`.

    The thread that starts a service has to outlive it, since a service ends with who started it.
    """

    def __init__(self, directory: Path, stack: ExitStack, *, lease_seconds: int = 2, **more: str) -> None:
        self.directory = directory
        self.lease_seconds = lease_seconds
        self.postgres = PostgresServer(directory / "postgres", free_port(), "secret", durable=True)
        self.valkey = ValkeyServer(directory / "valkey", free_port(), "secret", durable=True)
        self._up: dict[str, ExitStack] = {name: ExitStack() for name in _SERVICES}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in _SERVICES:
            self.start(name)
            stack.callback(self.stop, name)
        urls = roles.ensure_roles_and_database(self.postgres.url(), control_password="c", tenant_password="t")
        self.services = ThrowawayServices(
            urls.control,
            urls.tenant,
            self.postgres.url(database="lockstep"),
            self.valkey.url,
            str(directory),
        )
        simulator_url = stack.enter_context(running_model_simulator())
        self.simulator = SimulatorControl(simulator_url)
        self.more = {
            "OPENAI_BASE_URL": f"{simulator_url}/v1",
            "ANTHROPIC_BASE_URL": simulator_url,
            "OPENAI_API_KEY": "simulated",
            "ANTHROPIC_API_KEY": "simulated",
            "GATEWAY_LEASE_SECONDS": str(lease_seconds),
        } | more

    def start(self, name: str) -> None:
        """Start `postgres` or `valkey`, and wait until it answers."""
        server = self.postgres if name == "postgres" else self.valkey
        self._processes[name] = self._up[name].enter_context(
            running(server, log=self.directory / f"{name}.log")
        )

    def stop(self, name: str) -> None:
        """Stop it as an operator would."""
        self._up[name].close()

    def kill(self, name: str) -> None:
        """End it as a power cut would: PostgreSQL with all its backends."""
        os.killpg(self._processes[name].pid, signal.SIGKILL)
        self.stop(name)

    def run(self, *command: str) -> str:
        """Run a command of ours under the control plane; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(self.services, self.directory, **self.more) | {"LOCKSTEP_PLANE": "control"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def manage(self, *command: str) -> str:
        """Run a management command."""
        return self.run("manage.py", *command)

    @contextmanager
    def web(self, **more: Any) -> Iterator[Web]:
        """A web process."""
        with running_web(self.services, home=self.directory, **self.more, **more) as web:
            yield web


def wait_until(true: Callable[[], Any], seconds: float = 20) -> None:
    """Wait for something to become true, for so long at most."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
