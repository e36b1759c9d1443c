"""What the environment says about the local system (the contract's variables)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import LocalServiceError

ROOT = Path(__file__).resolve().parents[2]

WEB_OFFSET = 0
OPERATOR_OFFSET = 1
MODEL_SIMULATOR_OFFSET = 10
STRIPE_DOUBLE_OFFSET = 11


def process_environment() -> dict[str, str]:
    """The environment of this process; what starts the product must read it before the product does."""
    return dict(os.environ)  # noqa: TID251 (config/env.py is the product's reader, and runs in the children)


@dataclass(frozen=True)
class LocalSettings:
    """Where the local system lives, and which of its parts are given instead of embedded."""

    home: Path
    port: int
    web_workers: int
    database_url: str | None = field(repr=False)
    control_database_url: str | None = field(repr=False)
    valkey_url: str | None = field(repr=False)
    has_openai: bool
    has_anthropic: bool
    has_stripe: bool

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "LocalSettings":
        """From variables; an unusable value is refused with a sentence."""
        return cls(
            home=Path(environment.get("LOCKSTEP_HOME") or ROOT / ".lockstep").expanduser().resolve(),
            port=_number(environment, "LOCKSTEP_PORT", 8000, lowest=1, highest=65_535 - STRIPE_DOUBLE_OFFSET),
            web_workers=_number(environment, "LOCKSTEP_WEB_WORKERS", 1, lowest=1, highest=64),
            database_url=environment.get("DATABASE_URL") or None,
            control_database_url=environment.get("CONTROL_DATABASE_URL") or None,
            valkey_url=environment.get("VALKEY_URL") or None,
            has_openai=bool(environment.get("OPENAI_API_KEY")),
            has_anthropic=bool(environment.get("ANTHROPIC_API_KEY")),
            has_stripe=bool(environment.get("STRIPE_SECRET_KEY")),
        )

    @property
    def simulates_models(self) -> bool:
        """Whether at least one provider is simulated."""
        return not (self.has_openai and self.has_anthropic)

    @property
    def simulates_stripe(self) -> bool:
        """Whether the Stripe double takes Stripe's place."""
        return not self.has_stripe

    @property
    def ports(self) -> dict[str, int]:
        """What listens where, for the processes whose address is fixed."""
        ports = {"web": self.port + WEB_OFFSET, "operator": self.port + OPERATOR_OFFSET}
        if self.simulates_models:
            ports["model_simulator"] = self.port + MODEL_SIMULATOR_OFFSET
        if self.simulates_stripe:
            ports["stripe_double"] = self.port + STRIPE_DOUBLE_OFFSET
        return ports

    @property
    def urls(self) -> dict[str, str]:
        """Where people and programs find each of them."""
        urls = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        urls["api"] = f"{urls['web']}/v1"
        urls["operator"] = f"http://operator.localhost:{self.ports['operator']}"
        return urls


def _number(environment: Mapping[str, str], name: str, default: int, *, lowest: int, highest: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise LocalServiceError(f"{name} must be a whole number from {lowest} to {highest}, not {text!r}.")
    return int(text)
