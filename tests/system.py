"""Real processes of the product for tests: a web server over this worker's database, and a model simulator."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Web:
    """A running web process."""

    url: str
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        """As a crash would: no goodbye, to the server and its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_for(found: Callable[[], Any], seconds: float = 15) -> Any:
    """What `found` answers once it answers something: for what is written without anybody waiting for it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = found()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def environment(services: Any, home: Path, **more: str) -> dict[str, str]:
    """What a process of the product needs to know of this worker's services."""
    return os.environ | {
        "DATABASE_URL": services.tenant_url,
        "CONTROL_DATABASE_URL": services.control_url,
        "VALKEY_URL": services.valkey_url,
        "LOCKSTEP_HOME": str(home),
        "LOCKSTEP_PLANE": "tenant",
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        **more,
    }


@contextmanager
def running_web(
    services: Any, *, port: int | None = None, home: Path | None = None, **more: str
) -> Iterator[Web]:
    """A web process under the tenant plane's role; stopped with SIGTERM at the end."""
    port = port or free_port()
    home = home or Path(tempfile.mkdtemp(prefix="lockstep-web-"))
    log = home / "web.log"
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "config.asgi:application"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--no-ws"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(services, home, LOCKSTEP_PORT=str(port), **more),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    web = Web(f"http://127.0.0.1:{port}", port, process, log)
    try:
        _wait(web)
        yield web
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                web.kill()


def _wait(web: Web, seconds: float = 40) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if web.process.poll() is not None:
            break
        try:
            if requests.get(f"{web.url}/health/live", timeout=1).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"The web process did not start:\n{web.log.read_text()[-3000:]}")
