"""The secrets of one local system, made once and kept in its home."""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalServiceError
from deploy.local.private_file import write_private


def _token() -> str:
    return secrets.token_hex(24)


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _secret(make: Callable[[], str]) -> Any:  # dataclasses.field is typed as what it will hold.
    return field(default_factory=make, repr=False)


@dataclass(frozen=True)
class Secrets:
    """Passwords of the embedded services, and the product's own keys as 32 bytes in URL-safe base64."""

    postgres_password: str = _secret(_token)
    control_password: str = _secret(_token)
    tenant_password: str = _secret(_token)
    valkey_password: str = _secret(_token)
    stripe_webhook_secret: str = _secret(lambda: f"whsec_{_token()}")
    secret_key: str = _secret(_key)
    key_pepper: str = _secret(_key)
    credential_key: str = _secret(_key)
    audit_key: str = _secret(_key)


def load_secrets(home: Path) -> Secrets:
    """Read `secrets.json`, adding what it lacks; make it in a new home, but not for data that exist."""
    path = home / "secrets.json"
    known = _read(path) if path.exists() else {}
    if not known and (home / "postgres").exists():
        raise LocalServiceError(
            f"{path} is missing or empty, and the data in {home} is encrypted with it. "
            "Put it back, or delete the local data with `make reset`."
        )
    names = {item.name for item in fields(Secrets)}
    loaded = Secrets(**{name: value for name, value in known.items() if name in names})
    values = {name: getattr(loaded, name) for name in sorted(names)}
    if known != values:
        write_private(path, json.dumps(values, indent=2) + "\n")
    path.chmod(0o600)
    return loaded


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text())
    except PermissionError:
        raise LocalServiceError(f"{path} belongs to another user; run as the user who made it.") from None
    except ValueError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise LocalServiceError(
            f"{path} is damaged. Put a good copy back, or delete the local data with `make reset`."
        )
    return content
