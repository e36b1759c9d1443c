"""The product as a newcomer gets it: a fresh clone, `make up`, and what run.json says."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local.model_simulator.testing import SimulatorControl
from deploy.local.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
# What a newcomer's shell would not have: the test run's own settings.
_OURS = (
    "DATABASE_URL",
    "CONTROL_DATABASE_URL",
    "VALKEY_URL",
    "DJANGO_SETTINGS_MODULE",
    "VIRTUAL_ENV",
    "PYTHONPATH",
)


@dataclass
class Newcomer:
    """A running system that somebody who has just cloned the repository started."""

    clone: Path
    home: Path
    port: int
    started_in: float = 0.0
    process: "subprocess.Popen[bytes] | None" = None

    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name not in _OURS and "PYTEST" not in name
        }
        return kept | {"LOCKSTEP_HOME": str(self.home), "LOCKSTEP_PORT": str(self.port)}

    def up(self) -> None:
        began = time.monotonic()
        log = (self.clone.parent / "up.log").open("ab")
        self.process = subprocess.Popen(
            ["make", "up"],
            cwd=self.clone,
            env=self.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until = began + 400
        while not (self.home / "run.json").exists():
            said = (self.clone.parent / "up.log").read_text()[-4000:]
            assert self.process.poll() is None, f"make up ended:\n{said}"
            assert time.monotonic() < until, f"make up is not ready:\n{said}"
            time.sleep(0.2)
        self.started_in = time.monotonic() - began

    def down(self) -> int:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    @property
    def run(self) -> dict[str, Any]:
        return json.loads((self.home / "run.json").read_text())

    @property
    def screen(self) -> str:
        return (self.clone.parent / "up.log").read_text()

    @property
    def simulator(self) -> SimulatorControl:
        return SimulatorControl(self.run["urls"]["model_simulator"])

    def tenant(self, slug: str) -> dict[str, Any]:
        return next(one for one in self.run["tenants"] if one["slug"] == slug)

    def secret(self, slug: str) -> str:
        return self.tenant(slug)["keys"][0]["secret"]

    def get(self, slug: str, path: str) -> requests.Response:
        return requests.get(
            f"{self.run['urls']['web']}{path}",
            headers={"authorization": f"Bearer {self.secret(slug)}"},
            timeout=30,
        )

    def chat(self, slug: str, **more: Any) -> requests.Response:
        body = {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 30,
        } | more
        return requests.post(
            f"{self.run['urls']['api']}/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {self.secret(slug)}"},
            timeout=60,
            stream=bool(more.get("stream")),
        )

    def manage(self, *command: str) -> str:
        done = subprocess.run(
            [str(self.clone / ".venv/bin/python"), "manage.py", *command],
            cwd=self.clone,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def usage_on_invoice(self, slug: str) -> Decimal:
        """The exact sum of the usage lines of the draft invoice."""
        (draft,) = [
            one for one in self.get(slug, "/api/v1/invoices").json()["data"] if one["state"] == "draft"
        ]
        lines = self.get(slug, f"/api/v1/invoices/{draft['id']}").json()["lines"]
        return sum((Decimal(line["amount"]) for line in lines if line["kind"] == "usage"), Decimal(0))


@pytest.fixture(scope="session")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Cloned, started and, at the end, stopped without a trace."""
    directory = tmp_path_factory.mktemp("newcomer")
    clone = directory / "lockstep"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    port = next(base for base in iter(lambda: free_port() // 100 * 100, None) if 10_000 < base < 60_000)
    newcomer = Newcomer(clone, directory / "home", port)
    newcomer.up()
    yield newcomer
    if newcomer.process is not None and newcomer.process.poll() is None:
        newcomer.down()
    shutil.rmtree(directory, ignore_errors=True)
