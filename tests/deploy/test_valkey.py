"""The embedded Valkey: what was acknowledged a second ago survives a kill; strangers are kept out."""

import socket
import stat
from pathlib import Path

import pytest
import redis

from deploy.local.background import running
from deploy.local.errors import LocalServiceError
from deploy.local.ports import free_port
from deploy.local.processes import command_line
from deploy.local.valkey import ValkeyServer, answers


def test_a_durable_server_continues_with_its_data_after_being_killed(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret")
    with running(server, log=tmp_path / "log") as process:
        with redis.Redis.from_url(server.url) as client:
            client.set("ticket", "42")
            client.execute_command("WAITAOF", 1, 0, 2000)
        process.kill()
        process.wait()

    again = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret")
    with running(again, log=tmp_path / "log"), redis.Redis.from_url(again.url) as client:
        found = client.get("ticket")

    assert found == b"42"


def test_a_throwaway_server_writes_no_data(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret", durable=False)

    with running(server, log=tmp_path / "log"), redis.Redis.from_url(server.url) as client:
        client.set("ticket", "42")

    assert [path.name for path in server.directory.iterdir()] == ["valkey.conf"]


def test_it_asks_for_a_password_that_only_its_owner_can_read(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret", durable=False)

    with running(server, log=tmp_path / "log") as process:
        with pytest.raises(LocalServiceError, match="does not accept the password"):
            answers(server.url.replace("s3cret", "guess"))
        started_with = " ".join(command_line(process.pid))

    assert "s3cret" not in started_with
    assert stat.S_IMODE((server.directory / "valkey.conf").stat().st_mode) == 0o600


def test_it_refuses_writes_rather_than_forgetting_messages(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret", durable=False)

    with running(server, log=tmp_path / "log"), redis.Redis.from_url(server.url) as client:
        policy = client.config_get("maxmemory-policy")

    assert policy == {"maxmemory-policy": "noeviction"}


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret")

    with running(server, log=tmp_path / "log") as process, pytest.raises(LocalServiceError) as refused:
        ValkeyServer(server.directory, free_port(), "s3cret", patience=0.2).prepare()

    assert str(refused.value) == (
        f"A Valkey server still uses {server.directory}; stop it with: kill {process.pid}"
    )


def test_a_taken_port_is_told_with_the_servers_own_words(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "valkey", free_port(), "s3cret", durable=False)

    with (
        socket.create_server(("127.0.0.1", server.port)),
        pytest.raises(LocalServiceError) as refused,
        running(server, log=tmp_path / "log"),
    ):
        pass

    assert "valkey did not start." in str(refused.value)
    assert "Address already in use" in str(refused.value)
