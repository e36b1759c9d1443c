"""Browsers of acme's people, and a moment at which acme's calls happen."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.test import Client

from tests.factories.keys import PASSWORD, make_member

Open = Callable[..., Client]
# Sign-ins are counted by address, across tests.
_addresses = count(1)


@pytest.fixture
def browser(tenant: Any) -> Open:
    """A browser in which somebody with a role is signed in."""

    def opened(role: str = "developer") -> Client:
        place = next(_addresses)
        client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=f"10.7.{place // 250}.{place % 250}")
        signed_in = client.post("/accounts/login/", {"login": make_member(role).email, "password": PASSWORD})
        assert signed_in.status_code == 302, signed_in.content
        return client

    return opened
