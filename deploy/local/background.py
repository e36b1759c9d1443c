"""An embedded service without a supervisor: started, awaited and stopped by the code that uses it."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local.errors import LocalServiceError
from deploy.local.launch import launched
from deploy.local.postgres import PostgresServer
from deploy.local.valkey import ValkeyServer


@contextlib.contextmanager
def running(
    server: PostgresServer | ValkeyServer, *, log: Path, seconds: float = 30
) -> Iterator[subprocess.Popen[bytes]]:
    """Prepare and start the server; it answers inside the block and is stopped after it."""
    server.prepare()
    process = _start(server, log)
    try:
        _wait_until_ready(server, process, log, seconds)
        yield process
    finally:
        _stop(server, process)


def _start(server: PostgresServer | ValkeyServer, log: Path) -> subprocess.Popen[bytes]:
    user = server.user
    with open(log, "ab") as output:
        return subprocess.Popen(
            launched(
                server.command(),
                death_signal=server.stop_signal,
                user=(user.uid, user.gid) if user else None,
                directory=server.directory,
            ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )


def _wait_until_ready(
    server: PostgresServer | ValkeyServer, process: subprocess.Popen[bytes], log: Path, seconds: float
) -> None:
    deadline = time.monotonic() + seconds
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise LocalServiceError(f"{server.name} did not start. The end of its log {log}:\n{end}")
        time.sleep(0.01)


def _stop(server: PostgresServer | ValkeyServer, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(server.stop_signal)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
