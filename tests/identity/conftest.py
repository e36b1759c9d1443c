"""Browsers at a tenant's host and at the operator's, each in its own plane."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.test import Client

from apps.identity.types import Member
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.factories.people import PASSWORD, forget_attempts, make_member

MEMBERS = {
    "LOCKSTEP_PLANE": "tenant",
    "AUTHENTICATION_BACKENDS": ["apps.identity.backends.MemberBackend"],
    "SESSION_COOKIE_NAME": "lockstep_sid",
}


@pytest.fixture(autouse=True)
def _no_attempts_yet(services: Any, django_db_setup: None) -> None:
    forget_attempts()


@pytest.fixture
def tenant_plane(settings: Any) -> None:
    """This process as one of the tenant plane."""
    for name, value in MEMBERS.items():
        setattr(settings, name, value)


@pytest.fixture
def olga(acme: TenantRef) -> Member:
    """acme's owner, who signs in with PASSWORD."""
    with in_tenant(acme):
        return make_member("olga@acme.example", "owner", name="Olga")


def browser(slug: str, **more: Any) -> Client:
    """Somebody's browser at a tenant's host."""
    return Client(HTTP_HOST=f"{slug}.localhost", **more)


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    """Send the sign-in form."""
    return client.post("/accounts/login/", {"login": email, "password": password}, **more)


@pytest.fixture
def signed_in(tenant_plane: None, acme: TenantRef) -> Callable[..., Client]:
    """A browser in which a member of acme with this role is signed in."""

    def make(role: str = "owner", email: str = "") -> Client:
        with in_tenant(acme):
            member = make_member(email or f"{role}@acme.example", role)
        client = browser("acme")
        assert sign_in(client, member.email).status_code == 302
        return client

    return make


@pytest.fixture
def as_tenant_role(services: Any) -> Iterator[psycopg.Connection]:
    """PostgreSQL as an attacker with SQL in the tenant plane has it: signed in as lockstep_tenant, nothing
    else.
    """
    with psycopg.connect(services.tenant_url, autocommit=True) as connection:
        yield connection
