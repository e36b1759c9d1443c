"""What the gateway refuses: in the dialect's form, with a stable code, before any provider is called."""

import json
import socket
from uuid import uuid4

import openai
import pytest
import requests

from apps.ai_usage.models import UsageEvent
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.factories.tenants import entitle
from tests.planes import control_plane
from tests.system import wait_for

OPERATOR = Actor.system("tests")


@pytest.fixture(autouse=True)
def no_provider_is_called(simulator):
    """Each test in this file ends without a single request to the provider."""
    before = simulator.last_seq()
    yield
    assert simulator.served(since=before, billed="any") == []


UNIFORM = "The API key is missing, malformed, or not valid here."


def secrets_that_are_not_valid(caller):
    good = caller.secret
    return {
        "missing": {},
        "empty": {"authorization": "Bearer "},
        "no scheme": {"authorization": good},
        "basic": {"authorization": f"Basic {good}"},
        "one character changed": {"authorization": f"Bearer {good[:-1]}{'a' if good[-1] != 'a' else 'b'}"},
        "cut short": {"authorization": f"Bearer {good[:-3]}"},
        "with a space": {"authorization": f"Bearer {good[:20]} {good[20:]}"},
        "somebody else's form": {"authorization": "Bearer sk-proj-abcdefghijklmnop"},
        "64 KB": {"authorization": "Bearer " + "a" * 60_000},
        "both headers": {"authorization": f"Bearer {good}", "x-api-key": good},
    }


def test_every_key_that_is_not_valid_gets_the_same_401_in_the_surfaces_dialect(caller):
    for what, headers in secrets_that_are_not_valid(caller).items():
        theirs = requests.post(f"{caller.web.url}/v1/chat/completions", data="{", headers=headers, timeout=10)
        ours = requests.post(f"{caller.web.url}/v1/messages", data="{", headers=headers, timeout=10)

        assert theirs.status_code == 401, what
        assert theirs.json()["error"]["code"] == "invalid_api_key"
        assert theirs.json()["error"]["message"].startswith(UNIFORM)
        assert ours.status_code == 401, what
        assert ours.json()["error"]["type"] == "authentication_error"


def test_a_header_that_was_sent_twice_is_refused_before_anything_is_guessed(caller):
    with socket.create_connection(("127.0.0.1", caller.web.port), timeout=10) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-length: 2\r\n"
            b"authorization: Bearer " + caller.secret.encode() + b"\r\nauthorization: Bearer x\r\n\r\n{}"
        )
        answered = client.recv(4096)

    assert answered.split(b"\r\n")[0].split()[1] == b"400"
    assert b"duplicate_header" in answered


def test_a_key_works_on_its_own_tenants_host_and_is_unknown_on_another_tenants(caller, new_caller):
    other = new_caller()
    own_host = {"host": f"{caller.tenant.slug}.localhost"}
    foreign_host = {"host": f"{other.tenant.slug}.localhost"}

    assert caller.chat(model="none").status_code == 404
    own = requests.get(
        f"{caller.web.url}/v1/models",
        headers=own_host | {"authorization": f"Bearer {caller.secret}"},
        timeout=10,
    )
    foreign = requests.get(
        f"{caller.web.url}/v1/models",
        headers=foreign_host | {"authorization": f"Bearer {caller.secret}"},
        timeout=10,
    )

    assert own.status_code == 200
    assert foreign.status_code == 401
    assert foreign.json()["error"]["code"] == "invalid_api_key"


def test_an_unknown_host_is_a_404_that_tells_nothing(caller):
    answered = requests.get(
        f"{caller.web.url}/v1/models",
        headers={"host": "nobody.localhost", "authorization": f"Bearer {caller.secret}"},
        timeout=10,
    )

    assert answered.status_code == 404
    assert caller.tenant.slug not in answered.text


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"", "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 400, "invalid_json"),
        (b'"text"', "application/json", 400, "invalid_json"),
        (b'{"model": "gpt-4o", "messages": ["\xff"]}', "application/json", 400, "invalid_json"),
        (b"[" * 100_000, "application/json", 400, "invalid_json"),
        (b'{"messages": []}', "application/json", 400, "model_required"),
        (b'{"model": 5, "messages": []}', "application/json", 400, "model_required"),
        (b'{"model": "", "messages": []}', "application/json", 400, "model_required"),
        (b'{"model": "gpt-4o"}', "application/json", 400, "messages_required"),
        (b'{"model": "gpt-4o", "messages": {}}', "application/json", 400, "messages_required"),
        (b'{"model": "gpt-4o", "messages": [], "stream": "yes"}', "application/json", 400, "invalid_stream"),
        (
            b'{"model": "gpt-4o", "messages": [], "max_tokens": -5}',
            "application/json",
            400,
            "invalid_output_limit",
        ),
        (
            b'{"model": "gpt-4o", "messages": [], "max_tokens": 1e3}',
            "application/json",
            400,
            "invalid_output_limit",
        ),
        (b'{"model": "gpt-4o", "messages": [], "n": 0}', "application/json", 400, "invalid_n"),
        (
            b'{"model": "gpt-4o", "model": "gpt-4o-mini", "messages": []}',
            "application/json",
            400,
            "duplicate_member",
        ),
        (
            b'{"model": "gpt-4o", "mod\\u0065l": "o1", "messages": []}',
            "application/json",
            400,
            "duplicate_member",
        ),
        (b'{"model": "gpt-4o", "messages": []}', "text/plain", 415, "unsupported_media_type"),
        (b"model=gpt-4o", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_not_a_request_is_a_4xx_that_says_why(caller, body, content_type, status, code):
    answered = caller.post("/v1/chat/completions", data=body, headers={"content-type": content_type})

    assert (answered.status_code, answered.json()["error"]["code"]) == (status, code)


def test_anthropics_surface_says_the_same_in_its_own_words(caller):
    answered = caller.post("/v1/messages", {"model": "claude-sonnet-5-5", "messages": []})

    assert answered.status_code == 400
    assert answered.json()["type"] == "error"
    assert answered.json()["error"]["type"] == "invalid_request_error"
    assert answered.json()["error"]["code"] == "max_tokens_required"
    assert answered.json()["request_id"] == answered.headers["request-id"]


def test_a_body_beyond_the_bound_is_413_without_reading_it_all(caller):
    with socket.create_connection(("127.0.0.1", caller.web.port), timeout=10) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            b"content-length: 99999999999\r\nauthorization: Bearer " + caller.secret.encode() + b"\r\n\r\n{"
        )
        answered = client.recv(4096)

    assert b" 413 " in answered.split(b"\r\n")[0]
    assert b"body_too_large" in answered


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/chat", "/v1/../admin"])
def test_a_path_that_is_no_endpoint_is_a_404_in_the_dialect(caller, path):
    answered = caller.post(path, {})

    assert answered.status_code == 404


def test_the_wrong_method_is_a_405_that_names_the_right_one(caller):
    answered = caller.get("/v1/chat/completions")

    assert (answered.status_code, answered.headers["allow"]) == (405, "POST")


def test_a_model_that_does_not_exist_is_a_404_the_sdk_understands(caller):
    with pytest.raises(openai.NotFoundError) as refused:
        caller.openai.chat.completions.create(model="gpt-99", messages=[])

    assert refused.value.code == "model_not_found"
    (call,) = wait_for(caller.calls)
    assert (call.status, call.outcome, call.error_code) == (404, "refused", "model_not_found")


def test_a_model_without_a_price_is_refused_never_free(caller):
    from apps.ai_usage.models import Provider, Route, RouteTarget

    name = f"unpriced-{uuid4().hex[:8]}"
    with control_plane():
        route = Route.objects.create(model=name)
        RouteTarget.objects.create(route=route, provider=Provider.objects.get(name="openai"), model=name)
    with in_tenant(caller.tenant):
        governance.announce_change()

    answered = caller.chat(model=name)

    assert answered.status_code == 404
    assert answered.json()["error"]["code"] == "model_not_priced"


def test_plan_and_key_decide_which_models_may_be_used(new_caller):
    caller = new_caller(key={"models_allowed": ["gpt-4o-mini"]})

    not_for_key = caller.chat(model="gpt-4o")
    with control_plane(), in_tenant(caller.tenant):
        entitle(models=("gpt-4o",))
    not_in_plan = caller.chat(model="gpt-4o-mini")

    assert (not_for_key.status_code, not_for_key.json()["error"]["code"]) == (
        403,
        "model_not_allowed_for_key",
    )
    assert (not_in_plan.status_code, not_in_plan.json()["error"]["code"]) == (403, "model_not_in_plan")


@pytest.mark.parametrize(
    ("standing", "code"), [("unpaid", "subscription_unpaid"), ("none", "no_subscription")]
)
def test_a_tenant_that_has_not_paid_gets_402_on_the_next_call(caller, standing, code):
    with control_plane(), in_tenant(caller.tenant):
        entitle(standing=standing)

    for answered in (
        caller.chat(),
        caller.post("/v1/messages", {"model": "claude-sonnet-5-5", "max_tokens": 5, "messages": []}),
    ):
        assert answered.status_code == 402
        assert code in answered.text
        assert answered.headers["x-should-retry"] == "false"


def test_a_suspended_tenant_is_refused_with_the_operators_reason_and_served_again_when_resumed(caller):
    with control_plane():
        governance.suspend_tenant(caller.tenant, reason="Payment dispute.", actor=OPERATOR)

    refused = caller.get("/v1/models")
    refused_call = caller.chat()
    with control_plane():
        governance.resume_tenant(caller.tenant, reason="Settled.", actor=OPERATOR)

    assert (refused.status_code, refused_call.status_code) == (403, 403)
    assert refused_call.json()["error"]["code"] == "tenant_suspended"
    assert "Payment dispute." in refused_call.json()["error"]["message"]
    assert caller.get("/v1/models").status_code == 200


def test_a_key_without_the_scope_cannot_call_models(new_caller):
    caller = new_caller(key={"scopes": ["usage:read"]})

    answered = caller.chat()

    assert (answered.status_code, answered.json()["error"]["code"]) == (403, "scope_missing")


def test_nothing_refused_is_ever_in_the_ledger(caller):
    for _ in range(3):
        caller.chat(model="gpt-99")

    with in_tenant(caller.tenant):
        assert not UsageEvent.objects.exists()


def test_smuggled_headers_do_not_make_one_request_two(caller):
    body = json.dumps({"model": "gpt-99", "messages": []}).encode()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer " + caller.secret.encode() + b"\r\n"
        b"content-length: " + str(len(body)).encode() + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", caller.web.port), timeout=5) as client:
        client.sendall(request + b"0\r\n\r\n" + b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        client.settimeout(2)
        answered = b""
        try:
            while chunk := client.recv(65536):
                answered += chunk
        except TimeoutError:
            pass

    statuses = [line for line in answered.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses and all(b" 4" in status for status in statuses)
