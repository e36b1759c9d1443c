"""The home of a local system: secrets, settings, the lock, and being deleted."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.errors import LocalServiceError
from deploy.local.home import locked, make_home
from deploy.local.reset import reset
from deploy.local.secret_store import load_secrets
from deploy.local.settings import ROOT, LocalSettings


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = load_secrets(tmp_path)

    second = load_secrets(tmp_path)

    assert first == second
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]
    assert len({first.secret_key, first.key_pepper, first.credential_key}) == 3


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(tmp_path: Path) -> None:
    before = load_secrets(tmp_path)
    path = tmp_path / "secrets.json"
    known = json.loads(path.read_text())
    del known["key_pepper"]
    path.write_text(json.dumps(known))

    after = load_secrets(tmp_path)

    assert after.secret_key == before.secret_key
    assert json.loads(path.read_text())["key_pepper"] == after.key_pepper


def test_a_readable_secrets_file_is_closed_again(tmp_path: Path) -> None:
    load_secrets(tmp_path)
    (tmp_path / "secrets.json").chmod(0o644)

    load_secrets(tmp_path)

    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_lost_secrets_are_not_replaced_while_data_depend_on_them(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()

    with pytest.raises(LocalServiceError) as refused:
        load_secrets(tmp_path)

    assert "secrets.json is missing or empty" in str(refused.value)
    assert not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"secret_key": 1}'])
def test_a_damaged_secrets_file_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)

    with pytest.raises(LocalServiceError, match="is damaged"):
        load_secrets(tmp_path)

    assert (tmp_path / "secrets.json").read_text() == content


def test_the_ports_follow_from_the_base_port() -> None:
    settings = LocalSettings.read({"LOCKSTEP_PORT": "9000", "LOCKSTEP_HOME": "/tmp/elsewhere"})

    assert settings.home == Path("/tmp/elsewhere")
    assert settings.urls == {
        "web": "http://127.0.0.1:9000",
        "api": "http://127.0.0.1:9000/v1",
        "operator": "http://operator.localhost:9001",
        "model_simulator": "http://127.0.0.1:9010",
        "stripe_double": "http://127.0.0.1:9011",
    }


def test_what_is_given_is_not_simulated() -> None:
    settings = LocalSettings.read({"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "STRIPE_SECRET_KEY": "c"})

    assert settings.ports == {"web": 8000, "operator": 8001}


@pytest.mark.parametrize("text", ["0", "65525", "-1", "8000.0", "eight", "٨"])
def test_an_impossible_port_is_refused_with_the_possible_ones(text: str) -> None:
    with pytest.raises(LocalServiceError) as refused:
        LocalSettings.read({"LOCKSTEP_PORT": text})

    assert str(refused.value) == f"LOCKSTEP_PORT must be a whole number from 1 to 65524, not {text!r}."


def test_a_home_is_used_by_one_at_a_time_and_the_second_is_told_by_whom(tmp_path: Path) -> None:
    with (
        locked(tmp_path, doing="make up"),
        pytest.raises(LocalServiceError) as refused,
        locked(tmp_path, doing="x"),
    ):
        pass

    assert str(refused.value).startswith("make up (process ")
    assert f"already uses {tmp_path}" in str(refused.value)
    with locked(tmp_path, doing="make reset"):
        assert (tmp_path / "lock").read_text().startswith("make reset")


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import os; from pathlib import Path; from deploy.local.home import locked\n"
        f"with locked(Path({str(tmp_path)!r}), doing='make up'): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)

    with locked(tmp_path, doing="make up"):
        holder = (tmp_path / "lock").read_text()

    assert holder.startswith("make up (process ")


def test_reset_deletes_the_home_that_was_made_for_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home)
    (home / "postgres").mkdir()

    said = reset(home, ask=False)

    assert said == f"Deleted {home}. The next `make up` starts afresh."
    assert not home.exists()


def test_reset_does_not_delete_a_directory_with_somebodys_files(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    make_home(tmp_path)

    with pytest.raises(LocalServiceError) as refused:
        reset(tmp_path, ask=False)

    assert "was not made by Lockstep" in str(refused.value)
    assert (tmp_path / "letter.txt").exists()


def test_reset_does_not_delete_under_a_running_system(tmp_path: Path) -> None:
    make_home(tmp_path)

    with locked(tmp_path, doing="make up"), pytest.raises(LocalServiceError, match="already uses"):
        reset(tmp_path, ask=False)

    assert tmp_path.exists()


@pytest.mark.parametrize(("answer", "deleted"), [("y\n", True), ("\n", False), ("n\n", False), ("", False)])
def test_reset_asks_unless_forced(tmp_path: Path, answer: str, deleted: bool) -> None:
    home = tmp_path / "home"
    make_home(home)

    result = subprocess.run(
        [sys.executable, "-m", "deploy.local.reset"],
        cwd=ROOT,
        env={"LOCKSTEP_HOME": str(home)},
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0
    assert f"Delete {home} with its database, logs and secrets? [y/N]" in result.stdout
    assert home.exists() is not deleted
