"""What the commands say when they cannot start, and what `deploy.local.run` gives to a command."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.home import locked
from deploy.local.install import PYTHON
from deploy.local.ports import free_port, port_is_taken, require_free
from deploy.local.settings import ROOT
from tests.deploy.conftest import Eventually


def up(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.local.up"],
        cwd=ROOT,
        env={"PATH": os.defpath, "LOCKSTEP_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def run_among_services(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.local.run", "--", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_up_names_the_taken_port_and_the_way_out(tmp_path: Path) -> None:
    port = free_port()

    with socket.create_server(("127.0.0.1", port + 1)):
        result = up(tmp_path, LOCKSTEP_PORT=str(port))

    assert result.returncode == 1
    assert result.stdout.strip() == (
        f"Port {port + 1} (operator) is already in use on 127.0.0.1. Stop what listens there, or choose "
        "another base port, for example: LOCKSTEP_PORT=9000 make up"
    )
    assert not (tmp_path / "postgres").exists()


def test_up_in_a_home_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path, doing="make up"):
        result = up(tmp_path)

    assert result.returncode == 1
    assert f"make up (process {os.getpid()}) already uses {tmp_path}." in result.stdout


def test_up_in_a_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = up(tmp_path / "file" / "home")

    assert result.returncode == 1
    assert result.stdout.strip() == f"LOCKSTEP_HOME={tmp_path}/file/home cannot be used: Not a directory."


@pytest.mark.parametrize(
    ("variable", "address", "said"),
    [
        (
            "DATABASE_URL",
            "postgresql://me@127.0.0.1:1/x",
            "DATABASE_URL does not lead to a PostgreSQL server",
        ),
        ("VALKEY_URL", "redis://127.0.0.1:1/0", "VALKEY_URL does not lead to a Valkey server that answers"),
    ],
)
def test_up_tells_which_given_service_does_not_answer(
    tmp_path: Path, variable: str, address: str, said: str
) -> None:
    result = up(tmp_path, LOCKSTEP_PORT=str(free_port()), **{variable: address})

    assert result.returncode == 1
    assert said in result.stdout
    assert not (tmp_path / "environment.json").exists()


def test_free_ports_are_outside_the_range_of_outgoing_connections() -> None:
    ports = {free_port() for _ in range(20)}

    assert all(20_000 <= port < 32_768 for port in ports)
    assert not any(map(port_is_taken, ports))


def test_ports_just_released_are_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
    accepted.close()  # The server's side closes first, so the port is in TIME_WAIT.
    client.close()

    require_free({"web": port})

    assert not port_is_taken(port)


def test_a_command_finds_its_services_and_passes_its_exit_code_on() -> None:
    script = (
        "import os, psycopg, redis; from redis import Redis\n"
        "who = psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT current_user').fetchone()[0]\n"
        "print(who, Redis.from_url(os.environ['VALKEY_URL']).ping()); raise SystemExit(7)"
    )

    result = run_among_services(sys.executable, "-c", script)

    assert (result.stdout, result.returncode) == ("lockstep_tenant True\n", 7)


def test_an_unknown_command_is_told() -> None:
    result = run_among_services("no-such-command")

    assert (result.stderr, result.returncode) == ("There is no command no-such-command.\n", 127)


def test_a_stopped_command_takes_its_services_with_it(tmp_path: Path, eventually: Eventually) -> None:
    script = (
        "import os, time; from urllib.parse import urlsplit\n"
        "print(*(urlsplit(os.environ[name]).port for name in ('DATABASE_URL', 'VALKEY_URL')), flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.run", "--", sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ports = [int(port) for port in process.stdout.readline().split()]

    process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=20)
    process.stdout.close()

    assert code == 128 + signal.SIGTERM
    assert [port_is_taken(port) for port in ports] == [False, False]


def test_make_help_lists_every_target_in_one_line() -> None:
    result = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)

    listed = [line.split()[1] for line in result.stdout.splitlines()]

    assert listed == ["up", "test", "check", "bench", "faults", "reset", "lock", "help"]


def test_installing_again_does_nothing() -> None:
    result = subprocess.run(
        [sys.executable, "deploy/local/install.py", "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert PYTHON.exists()
