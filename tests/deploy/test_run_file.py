"""What a running system tells others: `run.json`, `environment.json` and the welcome screen."""

import json
import shlex
import stat
from pathlib import Path

import pytest

from deploy.local.children import lockstep_environment
from deploy.local.roles import DatabaseUrls
from deploy.local.run_file import forget_previous_run, publish_run, published_environment
from deploy.local.secret_store import Secrets
from deploy.local.settings import LocalSettings
from deploy.local.welcome import welcome

DEMO = {
    "operator": {"email": "olga@example.com", "password": "op-pass"},
    "tenants": [
        {
            "slug": "acme",
            "url": "http://acme.localhost:9000",
            "owner": {"email": "ann@acme.example", "password": "ann-pass"},
            "keys": [
                {"name": "spare", "secret": "lk_live_spare", "scopes": []},
                {"name": "demo", "secret": "lk_live_demo", "scopes": ["models:call"]},
            ],
        }
    ],
}


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    return LocalSettings.read({"LOCKSTEP_PORT": "9000", "LOCKSTEP_HOME": str(tmp_path)})


@pytest.fixture
def environment(settings: LocalSettings) -> dict[str, str]:
    databases = DatabaseUrls(control="postgresql://control", tenant="postgresql://tenant")
    return lockstep_environment(settings, Secrets(), databases, "redis://valkey")


def test_run_json_says_what_the_contract_says_and_is_private(
    settings: LocalSettings, environment: dict[str, str]
) -> None:
    publish_run(settings.home, pids={"web": 1}, urls=settings.urls, environment=environment, demo=DEMO)

    path = settings.home / "run.json"
    assert json.loads(path.read_text()) == {
        "ready": True,
        "pids": {"web": 1},
        "urls": settings.urls,
        "database_url": "postgresql://tenant",
        "control_database_url": "postgresql://control",
        "valkey_url": "redis://valkey",
        **DEMO,
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_both_files_are_gone_after_the_run_even_a_failed_one(
    settings: LocalSettings, environment: dict[str, str]
) -> None:
    with pytest.raises(ZeroDivisionError), published_environment(settings.home, environment):
        publish_run(settings.home, pids={}, urls={}, environment=environment, demo=DEMO)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.home.iterdir()}
        raise ZeroDivisionError

    assert modes == {"run.json": 0o600, "environment.json": 0o600}
    assert list(settings.home.iterdir()) == []


def test_what_a_killed_run_left_is_forgotten_once(settings: LocalSettings) -> None:
    (settings.home / "run.json").write_text('{"ready": true}')

    said = [forget_previous_run(settings.home), forget_previous_run(settings.home)]

    assert said == [True, False]
    assert list(settings.home.iterdir()) == []


def test_a_command_beside_the_system_gets_every_address_and_key_of_it(environment: dict[str, str]) -> None:
    addresses = {name: value for name, value in environment.items() if "://" in value}

    assert addresses == {
        "DATABASE_URL": "postgresql://tenant",
        "CONTROL_DATABASE_URL": "postgresql://control",
        "VALKEY_URL": "redis://valkey",
        "MODEL_SIMULATOR_URL": "http://127.0.0.1:9010",
        "OPENAI_BASE_URL": "http://127.0.0.1:9010/v1",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9010",
        "STRIPE_API_BASE": "http://127.0.0.1:9011",
    }
    assert all(len(environment[name]) == 44 for name in ("SECRET_KEY", "KEY_PEPPER", "CREDENTIAL_KEY"))


def test_a_given_stripe_key_is_left_to_stripe(tmp_path: Path) -> None:
    settings = LocalSettings.read({"STRIPE_SECRET_KEY": "sk_test_mine", "LOCKSTEP_HOME": str(tmp_path)})

    environment = lockstep_environment(settings, Secrets(), DatabaseUrls("c", "t"), "v")

    assert [name for name in environment if name.startswith("STRIPE")] == []


def test_the_welcome_screen_has_one_call_to_paste_with_the_demo_key(settings: LocalSettings) -> None:
    screen = welcome(settings.urls, DEMO, logs="/logs", seconds=12.3)

    command = shlex.split(screen[screen.index("  curl ") :].replace("\\\n", ""))
    assert command[:2] == ["curl", "http://127.0.0.1:9000/v1/chat/completions"]
    assert "Authorization: Bearer lk_live_demo" in command
    assert json.loads(command[-1])["model"] == "gpt-4o-mini"
    assert "http://acme.localhost:9000" in screen
    assert "ann@acme.example  /  ann-pass" in screen
