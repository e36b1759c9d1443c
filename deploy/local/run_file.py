"""How others find the running system: `run.json` for tools, `environment.json` for management commands."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.local.private_file import write_private

RUN_FILE = "run.json"
ENVIRONMENT_FILE = "environment.json"


def forget_previous_run(home: Path) -> bool:
    """Remove what a killed run left, lest somebody take it for this one; whether there was something."""
    path = home / RUN_FILE
    was_there = path.exists()
    path.unlink(missing_ok=True)
    return was_there


@contextlib.contextmanager
def published_environment(home: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Let management commands find this system as long as it runs; also removes `run.json` at the end."""
    write_private(home / ENVIRONMENT_FILE, json.dumps(dict(environment), indent=2) + "\n")
    try:
        yield
    finally:
        for name in (RUN_FILE, ENVIRONMENT_FILE):
            (home / name).unlink(missing_ok=True)


def publish_run(
    home: Path,
    *,
    pids: Mapping[str, int],
    urls: Mapping[str, str],
    environment: Mapping[str, str],
    demo: Mapping[str, Any],
) -> None:
    """Say that everything answers, and where."""
    content = {
        "ready": True,
        "pids": dict(pids),
        "urls": dict(urls),
        "database_url": environment["DATABASE_URL"],
        "control_database_url": environment["CONTROL_DATABASE_URL"],
        "valkey_url": environment["VALKEY_URL"],
        "operator": demo["operator"],
        "tenants": demo["tenants"],
    }
    write_private(home / RUN_FILE, json.dumps(content, indent=2) + "\n")
