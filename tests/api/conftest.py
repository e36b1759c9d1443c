"""A client of the REST API, with a key that may do everything a key may."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.keys.types import KEY_SCOPES, IssuedKey
from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key


class Api:
    """Sends JSON with a key to a host; what comes back is Django's test response."""

    def __init__(self, secret: str, host: str = "127.0.0.1") -> None:
        self.secret = secret
        self.client = Client(HTTP_HOST=host, raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(f"/api/v1{path}", headers=self._headers(headers))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method,
            f"/api/v1{path}",
            data=body if isinstance(body, bytes) else _json(body),
            content_type="application/json",
            headers=self._headers(headers),
        )

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("PATCH", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Any:
        return self.send("PUT", path, body, **headers)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        given = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        return given | {name.replace("_", "-"): value for name, value in more.items()}


def _json(body: Any) -> bytes:
    import json

    return json.dumps(body).encode()


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    """acme, in force for the test's own reading and making."""
    with in_tenant(acme):
        yield acme


@pytest.fixture
def admin_key(tenant: Any) -> IssuedKey:
    """A service account's key with every scope."""
    return make_key(name="admin", scopes=sorted(KEY_SCOPES))


@pytest.fixture
def api(admin_key: IssuedKey) -> Api:
    """A client with that key on a shared host."""
    return Api(admin_key.secret)
