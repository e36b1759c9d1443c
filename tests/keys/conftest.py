"""Every test here runs inside acme, except those that need real commits and get a tenant of their own."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from apps.tenancy.services import in_tenant
from tests.factories.tenants import make_tenant
from tests.planes import control_plane


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    """acme, in force for the test's length."""
    with in_tenant(acme):
        yield acme


@pytest.fixture
def committing(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """A tenant of the test's own, whose changes are committed: for threads that must see each other's."""
    with django_db_blocker.unblock():
        with control_plane():
            made = make_tenant(f"own-{secrets.token_hex(6)}")
        yield made
        connections.close_all()
