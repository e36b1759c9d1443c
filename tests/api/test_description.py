"""The API does what its description says, whatever is sent: never a 500, never an answer that is not described."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.keys.rest.schema import problem_codes
from apps.keys.types import IssuedKey
from config.problems import CODES
from tests.api.conftest import Api
from tests.api.shapes import Described
from tests.factories.keys import make_key, make_service_account

OPEN = {"/api/v1/leaks", "/api/v1/leaks/partner"}
UNIVERSAL = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The description as clients get it."""
    from apps.tenancy.services import in_public

    with in_public():
        answer = Client(HTTP_HOST="127.0.0.1").get("/api/v1/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
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


def test_every_code_is_in_the_description_and_in_the_documentation(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["Problem"]["properties"]["code"]["description"]
    documented = open("docs/api.md", encoding="utf-8").read()

    for code, status in problem_codes().items():
        assert f"- `{code}` ({status})" in described
        if status < 500 or code == "service_unavailable":
            assert f"`{code}`" in documented, code
    assert set(CODES.values()) - {"unauthenticated", "conflict"} <= problem_codes().keys()


@UNIVERSAL
@given(data=st.data())
def test_no_request_is_answered_with_an_error_of_ours(
    tenant: Any, admin_key: IssuedKey, document: dict[str, Any], data: st.DataObject, settings: Any
) -> None:
    settings.REST_REQUESTS_PER_MINUTE = settings.LEAK_REPORTS_PER_MINUTE = 10**6
    described = Described(document)
    method, path, operation = data.draw(st.sampled_from(described.operations), label="operation")
    target = re.sub(r"{\w+}", lambda _: str(data.draw(_ids(), label="id")), path)
    query = urlencode(data.draw(described.query(operation), label="query"), errors="surrogatepass")
    body = data.draw(described.body(operation), label="body") if method != "GET" else None
    word = data.draw(st.none() | st.sampled_from(["a", "b", "c"]), label="Idempotency-Key")
    headers = {"Idempotency_Key": word} if word else {}

    answer = Api(admin_key.secret).send(
        method, f"{target.removeprefix('/api/v1')}?{query}", _encoded(body), **headers
    )

    assert answer.status_code < 500, answer.content
    assert str(answer.status_code) in operation["responses"] or answer.status_code in (404, 405)
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem_codes()[problem["code"]] == answer.status_code
        if answer.status_code == 401:
            pytest.fail("the key was good")


def _ids() -> st.SearchStrategy[Any]:
    from apps.governance.types import Actor
    from apps.keys import selectors, services

    living = [key.id for key in selectors.keys(limit=20, only_living=True) if key.name != "admin"]
    if not living:
        account = make_service_account(f"for {len(selectors.keys(limit=500))}")
        living = [make_key(service_account_id=account.id).key.id]
    accounts = [account.id for account in selectors.service_accounts(limit=10)]
    for account in selectors.service_accounts(limit=200):
        if not account.is_active:
            services.enable_service_account(account.id, actor=Actor.system())
    return st.sampled_from([*living, *accounts]) | st.uuids()


def _encoded(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=True).encode()


def _patterns(found: Any, prefix: str = "") -> Any:
    for pattern in found:
        if hasattr(pattern, "url_patterns"):
            yield from _patterns(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield pattern
