"""A REST client with a key of acme."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.factories.keys import make_key

Ask = Callable[..., Any]


@pytest.fixture
def ask(tenant: Any) -> Ask:
    """GET as a key that holds these scopes; the answer with its JSON."""

    def get(
        path: str, query: dict[str, str] | None = None, *, scopes: tuple[str, ...], **headers: str
    ) -> Any:
        key = make_key(scopes=list(scopes))
        client = Client(HTTP_HOST="localhost", headers={"authorization": f"Bearer {key.secret}"} | headers)
        return client.get(f"/api/v1/{path}", query or {})

    return get
