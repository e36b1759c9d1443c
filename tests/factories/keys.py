"""Members, service accounts and keys of a tenant, for tests about what keys may do."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from apps.governance import services as governance
from apps.governance.types import Actor, ActorKind, Entitlements, Standing
from apps.identity import services as identity
from apps.identity.types import Member
from apps.keys import services as keys
from apps.keys.authentication import load_principal
from apps.keys.tokens import parse
from apps.keys.types import IssuedKey, KeyLimits, Principal, ServiceAccount
from apps.tenancy.selectors import current_tenant
from tests.factories.tenants import PRICE_LIST
from tests.planes import control_plane

PASSWORD = "correct horse battery staple"


_places = count()


def new_address() -> str:
    """An address that nobody has signed in from: how often one may sign in a minute is limited by address."""
    place = next(_places)
    return f"10.9.{place // 250}.{place % 250}"


def make_member(role: str = "developer", *, email: str = "") -> Member:
    """A person with a role in the tenant in force."""
    return identity.create_member(
        email=email or f"{role}@example.com",
        role=role,
        actor=Actor.system("tests"),
        password=PASSWORD,
        name=role.title(),
    )


def as_member(member: Member, *, address: str = "198.51.100.7") -> Actor:
    """The member as the one who acts."""
    return Actor(
        kind=ActorKind.MEMBER, id=str(member.id), name=member.label, address=address, scopes=member.scopes
    )


def as_key(issued: IssuedKey) -> Actor:
    """The key as the one who acts, with what it may do now."""
    principal = principal_of(issued)
    return Actor(kind=ActorKind.KEY, id=str(principal.key_id), name=principal.name, scopes=principal.scopes)


def make_service_account(name: str = "checkout") -> ServiceAccount:
    """A program that owns keys."""
    return keys.create_service_account(actor=Actor.system("tests"), name=name)


def make_key(actor: Actor | None = None, **more: Any) -> IssuedKey:
    """A key with one scope, unless told otherwise; of a service account when nobody is said to act."""
    if actor is None:
        actor = Actor.system("tests")
        if "member_id" not in more and "service_account_id" not in more:
            more["service_account_id"] = _account_id()
    return keys.issue_key(actor=actor, **{"name": "first", "scopes": ["inference:write"], **more})


def principal_of(issued: IssuedKey) -> Principal:
    """The key as a request's principal; it must be usable."""
    parsed = parse(issued.secret)
    assert parsed is not None
    principal = load_principal(current_tenant(), parsed.key_id)
    assert principal is not None
    return principal


def limit_keys(limit: int) -> None:
    """Publish a plan of so many keys for the tenant in force."""
    tenant = current_tenant()
    with control_plane():
        from apps.tenancy.services import in_tenant

        with in_tenant(tenant):
            governance.publish_entitlements(
                Entitlements(
                    standing=Standing.ACTIVE,
                    plan="test",
                    plan_version=2,
                    currency="USD",
                    price_list=PRICE_LIST,
                    models=("*",),
                    limits={"keys": limit},
                ),
                actor=Actor.system("tests"),
            )


def limits(**values: int | None) -> KeyLimits:
    """Limits of one key."""
    return KeyLimits(**values)


def after(moment: datetime, **delta: float) -> datetime:
    """A moment later."""
    return moment + timedelta(**delta)


def _account_id() -> UUID:
    from apps.keys.selectors import service_accounts

    found = service_accounts(limit=1)
    return found[0].id if found else make_service_account().id
