"""The API does what its description says, whatever is sent: never a 500 or an answer that isn't described."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.errors import DomainError
from apps.governance.types import Actor
from apps.keys import errors, services
from apps.keys.rest import errors as rest_errors
from apps.keys.rest.schema import GENERAL_CODES, problem_codes
from apps.keys.types import IssuedKey
from config.problems import CODES
from tests.api.conftest import Api
from tests.api.shapes import Described
from tests.factories.keys import make_key, make_service_account

OPEN = {"/api/v1/leaks", "/api/v1/leaks/partner"}
UNIVERSAL = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The description as clients get it."""
    from apps.tenancy.services import in_public

    with in_public():
        answer = Client(HTTP_HOST="127.0.0.1").get(
            "/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"}
        )
    assert answer.status_code == 200
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_it_is_openapi_3_1_and_names_both_ways_to_send_a_key(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["components"]["securitySchemes"] == {
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "lk_live_…", "description": "An API key.",
        },
        "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key."},
    }  # fmt: skip


def test_every_operation_has_a_name_a_sentence_and_its_problems(document: dict[str, Any]) -> None:
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert operation["description"], (method, path)
            assert {"400", "429", "503"} <= operation["responses"].keys(), (method, path)
            for status in (code for code in operation["responses"] if code >= "400"):
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"]
            if path not in OPEN:
                assert operation["security"] == [{"bearer": []}, {"x-api-key": []}], (method, path)
                assert {"401", "403"} <= operation["responses"].keys()
            if method != "get" and path not in OPEN:
                assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}
    assert len(set(names)) == len(names)


def test_every_view_declares_its_scopes_or_says_why_it_is_open() -> None:
    open_views = {"ApiSchema", "ApiDocs"}
    for pattern in _patterns(get_resolver("config.urls.public").url_patterns):
        view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
        if view is None or "/v1/" not in str(pattern) or view.__name__ in open_views:
            continue
        handlers = {name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)}
        if getattr(view, "open_because", ""):
            continue
        assert set(view.scopes) == handlers, view


def test_every_code_is_in_the_description_and_ours_are_in_the_documentation(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["Problem"]["properties"]["code"]["description"]
    documented = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")

    for code, status in problem_codes().items():
        assert f"- `{code}` ({status})" in described
    for kind in (*vars(errors).values(), *vars(rest_errors).values()):
        if isinstance(kind, type) and issubclass(kind, DomainError) and kind is not DomainError:
            assert f"`{kind.code}`" in documented
    for code in GENERAL_CODES:
        assert f"`{code}`" in documented
    # What DRF itself refuses is told by the same codes.
    assert set(CODES.values()) - {"unauthenticated", "conflict"} <= problem_codes().keys()


@pytest.fixture
def ids(tenant: Any, admin_key: IssuedKey) -> list[UUID]:
    """Things that exist, and one that doesn't."""
    account = make_service_account("for requests")
    living, ended = (make_key(name=name, service_account_id=account.id) for name in ("living", "ended"))
    services.revoke_key(ended.key.id, actor=Actor.system())
    return [living.key.id, living.key.id, account.id, ended.key.id, uuid4()]


@UNIVERSAL
@given(data=st.data())
def test_no_request_is_answered_with_an_error_of_ours(
    ids: list[UUID], api: Api, document: dict[str, Any], settings: Any, data: st.DataObject
) -> None:
    settings.REST_REQUESTS_PER_MINUTE = settings.LEAK_REPORTS_PER_MINUTE = 10**6
    described = Described(document)
    number = data.draw(st.integers(0, len(described.operations) - 1), label="operation")
    method, path, operation = described.operations[number]
    target = re.sub(r"{\w+}", lambda _: str(data.draw(st.sampled_from(ids), label="id")), path)
    query = urlencode(data.draw(described.query(operation), label="query"), errors="surrogatepass")
    body = data.draw(described.body(operation), label="body") if method != "GET" else None
    word = data.draw(st.none() | st.sampled_from(["a", "b"]), label="Idempotency-Key")
    headers = {"Idempotency_Key": word} if word else {}
    address = f"{target.removeprefix('/api/v1')}?{query}"

    # Each example begins with the same rows, so that one that fails fails again.
    with transaction.atomic():
        answer = api.send(method, address, _encoded(body), **headers)
        again = api.send(method, address, _encoded(body), **headers) if word else None
        transaction.set_rollback(True)

    assert answer.status_code < 500, (method, path, answer.content)
    assert str(answer.status_code) in operation["responses"] or answer.status_code in (404, 405)
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem_codes()[problem["code"]] == answer.status_code
        assert answer.status_code != 401
    elif again is not None and method != "GET" and path not in OPEN:
        assert (again.status_code, again.json()) == (answer.status_code, answer.json())


def _encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=True).encode()


def _patterns(found: Any, prefix: str = "") -> Any:
    for pattern in found:
        if hasattr(pattern, "url_patterns"):
            yield from _patterns(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield pattern
