"""The demo that `make up` shows: an operator, a catalogue, two tenants with owners and keys. Made where
missing."""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.billing import selectors, services
from apps.governance.types import Actor
from apps.identity import selectors as people
from apps.identity import services as identity
from apps.identity.errors import OperatorExists
from apps.keys import selectors as keys
from apps.keys import services as key_services
from apps.keys.types import KeyState
from apps.tenancy import selectors as tenants
from apps.tenancy import services as tenancy
from apps.tenancy.errors import TenantNotFound
from apps.tenancy.types import TenantRef, TenantState

_SCOPES = (
    "audit:read",
    "calls:read",
    "inference:write",
    "invoices:read",
    "keys:read",
    "keys:write",
    "members:read",
    "settings:read",
    "usage:read",
)
_LIFETIME = timedelta(days=364)


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """What a tenant of the demo is."""

    slug: str
    name: str
    plan: str


TENANTS = (DemoTenant("acme", "Acme Research", "business"), DemoTenant("globex", "Globex", "starter"))


class Memory:
    """The demo's passwords and keys, in a file that only its owner reads: what is stored elsewhere is
    hashed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str) -> str | None:
        """What was remembered under a name."""
        return self._known.get(name)

    def remember(self, name: str, secret: str) -> str:
        """Keep a secret, on disk before it is used anywhere."""
        self._known[name] = secret
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(self._known, file, indent=2, sort_keys=True)
        beside.replace(self._path)
        return secret

    def get_or_make(self, name: str, make: Callable[[], str]) -> str:
        """What was remembered, or something new that is from now on."""
        return self._known.get(name) or self.remember(name, make())


def resolve(name: str) -> str | None:
    """What the demo's catalogue means by env:NAME: the real provider where its key is given, else the
    simulator."""
    given: str | None = settings.CATALOGUE_ENVIRONMENT(name)
    if given is not None:
        return given
    provider = name.partition("_")[0]
    simulator = settings.CATALOGUE_ENVIRONMENT("MODEL_SIMULATOR_URL") or "http://127.0.0.1:8010"
    real = settings.CATALOGUE_ENVIRONMENT(f"{provider}_API_KEY") is not None
    return {
        "OPENAI_BASE_URL": "https://api.openai.com/v1" if real else f"{simulator}/v1",
        "ANTHROPIC_BASE_URL": "https://api.anthropic.com" if real else simulator,
        "OPENAI_API_KEY": "simulated",
        "ANTHROPIC_API_KEY": "simulated",
    }.get(name)


def ensure_operator(memory: Memory, *, actor: Actor) -> dict[str, str]:
    """Somebody who can sign in to the operator admin."""
    email = memory.get("operator.email") or "operator@lockstep.localhost"
    password = memory.get("operator.password")
    if password is None:
        password = memory.remember("operator.password", _password())
    try:
        identity.create_operator(email=email, password=password, name="Demo operator", actor=actor)
    except OperatorExists:
        # Whose password we do not know is not ours to show; memory was lost, so this one gets a name of its
        # own.
        if memory.get("operator.email") is None:
            email = f"operator-{secrets.token_hex(3)}@lockstep.localhost"
            identity.create_operator(email=email, password=password, name="Demo operator", actor=actor)
    memory.remember("operator.email", email)
    return {"email": email, "password": password}


def ensure_tenant(wanted: DemoTenant, memory: Memory, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """A tenant of the demo with its owner and key, in the form of run.json."""
    email = f"owner@{wanted.slug}.example"
    password = memory.get_or_make(f"{wanted.slug}.password", _password)
    tenant = _tenant(wanted, email, password, actor, now)
    with tenancy.in_tenant(tenant):
        owner = people.member_by_email(email)
        if owner is None:
            raise TenantNotFound(f"{wanted.slug} with the owner {email}")
        secret = _key(memory, wanted.slug, owner.id, actor, now)
        plan = selectors.subscription_of(tenant_id=tenant.id)
    return {
        "slug": tenant.slug,
        "id": str(tenant.id),
        "url": f"http://{tenants.primary_domain(tenant.id)}:{settings.LOCKSTEP_PORT}",
        "plan": plan.plan.terms.name if plan else wanted.plan,
        "owner": {"email": email, "password": password},
        "keys": [{"name": "demo", "secret": secret, "scopes": list(_SCOPES)}],
    }


def _tenant(wanted: DemoTenant, email: str, password: str, actor: Actor, now: datetime) -> TenantRef:
    try:
        tenant = tenants.tenant_by_slug(wanted.slug)
        if tenant.state is not TenantState.PROVISIONING:
            return tenant
    except TenantNotFound:
        pass
    return services.onboard_tenant(
        services.Onboarding(
            slug=wanted.slug,
            name=wanted.name,
            plan=wanted.plan,
            owner_email=email,
            owner_password=password,
            actor=actor,
            now=now,
        )
    )


def _key(memory: Memory, slug: str, owner: Any, actor: Actor, now: datetime) -> str:
    known = memory.get(f"{slug}.key")
    if known is not None:
        usable = {key.key_id for key in keys.keys(limit=200) if key.state is KeyState.ACTIVE}
        if known.split("_")[3] in usable:
            return known
    issued = key_services.issue_key(
        actor=actor, name="demo", scopes=_SCOPES, member_id=owner, expires_at=now + _LIFETIME, now=now
    )
    return memory.remember(f"{slug}.key", issued.secret)


def _password() -> str:
    return secrets.token_urlsafe(15)
