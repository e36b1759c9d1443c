"""The only reader of the environment. Everything else reads Django settings."""

import json
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent


def text(name: str, default: str | None = None) -> str:
    """The variable's text; without a default a missing or empty one stops the start with a sentence."""
    value = os.environ.get(name, "")
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"Set the environment variable {name}; see docs/configuration.md.")
    return default


def optional(name: str) -> str | None:
    """The variable's text, or None where it is not set."""
    return os.environ.get(name) or None


def number(name: str, default: int) -> int:
    """A whole number."""
    raw = os.environ.get(name)
    if not raw:
        return default
    try:
        return int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {raw!r}.") from None


def flag(name: str, default: bool = False) -> bool:
    """A yes or no: 1/true/yes or 0/false/no."""
    raw = os.environ.get(name, "").lower()
    if not raw:
        return default
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {raw!r}.")


def listing(name: str, default: str = "") -> list[str]:
    """Comma-separated values without empty ones."""
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def by_name(name: str) -> str | None:
    """The value of a variable that an operator named in the catalogue (`env:NAME`)."""
    return os.environ.get(name) or None


def home() -> Path:
    """Where local data, logs and run.json live."""
    return Path(os.environ.get("LOCKSTEP_HOME") or ROOT / ".lockstep").resolve()


def use_defaults_for_commands() -> None:
    """Management commands act for the operator: control plane, development settings unless set.

    A command typed beside a running `make up` finds that system's addresses and secrets by itself.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    os.environ.setdefault("LOCKSTEP_PLANE", "control")
    if os.environ["DJANGO_SETTINGS_MODULE"] == "config.settings.development":
        use_local_system()


def use_local_system() -> None:
    """Fill what the environment lacks from the local system's own file, `$LOCKSTEP_HOME/environment.json`."""
    path = home() / "environment.json"
    if path.exists():
        for name, value in json.loads(path.read_text()).items():
            os.environ.setdefault(name, value)


def use_defaults_for_servers() -> None:
    """Servers and workers run the settings they are told, or those of development."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
