"""A part of the system being away is said so, and nobody gets in by it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import connection
from django.test import Client

from apps.identity.models import Session
from apps.identity.sessions import SessionStore
from apps.identity.tasks import clear_sessions
from apps.identity.types import Member
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.identity.conftest import browser, sign_in
from tests.planes import control_plane

pytestmark = pytest.mark.usefixtures("tenant_plane")


@pytest.fixture
def valkey_away(settings: Any) -> None:
    """Django's cache leads to a port on which nothing listens."""
    settings.CACHES = {"default": {**django_settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert "127.0.0.1:1/" in str(caches["default"]._servers)


def test_without_valkey_attempts_cannot_be_counted_so_nobody_signs_in(
    olga: Member, valkey_away: None
) -> None:
    client = browser("acme", raise_request_exception=False)

    answer = sign_in(client, olga.email)

    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert client.get("/members/").status_code == 302


def test_without_valkey_who_is_signed_in_goes_on(
    signed_in: Callable[..., Client], request: pytest.FixtureRequest
) -> None:
    client = signed_in()
    request.getfixturevalue("valkey_away")

    assert client.get("/members/").status_code == 200


def test_without_postgresql_a_page_says_that_it_will_be_back(
    olga: Member, signed_in: Callable[..., Client]
) -> None:
    client = signed_in()
    client.raise_request_exception = False

    def away(*_: Any) -> Any:
        from django.db import OperationalError

        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(away):
        page = client.get("/members/")

    assert (page.status_code, page["Retry-After"]) == (503, "2")
    assert "text/html" in page["Content-Type"]


def test_expired_sessions_are_forgotten_everywhere(acme: TenantRef, globex: TenantRef, olga: Member) -> None:
    for tenant in (acme, globex):
        with in_tenant(tenant):
            for expiry in (-60, 3600):
                store = SessionStore()
                store.set_expiry(expiry)
                store.create()

    with control_plane():
        clear_sessions()

    for tenant in (acme, globex):
        with in_tenant(tenant):
            assert Session.objects.count() == 1
