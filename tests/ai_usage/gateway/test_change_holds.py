"""A change holds on the next request, on every process that serves."""

from dataclasses import replace

import pytest
import requests

from apps.governance.types import Actor
from apps.keys import services as keys
from apps.tenancy.services import in_tenant
from tests.factories.tenants import ROOMY, entitle
from tests.planes import control_plane
from tests.system import running_web

ADMIN = Actor.system("tests")


@pytest.fixture(scope="module")
def second_web(services, simulator):
    """Another web process over the same database and Valkey."""
    with running_web(services) as web:
        yield web


def status_on(web, caller) -> int:
    """What a model call of this caller gets on a process."""
    return requests.post(
        f"{web.url}/v1/chat/completions",
        json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5},
        headers={"authorization": f"Bearer {caller.secret}"},
        timeout=20,
    ).status_code


def test_a_revoked_key_is_dead_on_the_next_request_on_every_process(caller, second_web):
    assert [status_on(caller.web, caller), status_on(second_web, caller)] == [200, 200]

    with in_tenant(caller.tenant):
        keys.revoke_key(actor=ADMIN, key_id=caller.key_id, reason="lost laptop")

    assert [status_on(second_web, caller), status_on(caller.web, caller)] == [401, 401]


def test_a_disabled_key_that_is_enabled_again_works_on_the_next_request(caller, second_web):
    with in_tenant(caller.tenant):
        keys.disable_key(actor=ADMIN, key_id=caller.key_id)
    assert [status_on(caller.web, caller), status_on(second_web, caller)] == [401, 401]

    with in_tenant(caller.tenant):
        keys.enable_key(actor=ADMIN, key_id=caller.key_id)

    assert [status_on(caller.web, caller), status_on(second_web, caller)] == [200, 200]


def test_lowered_limits_refuse_the_next_call_with_a_reason(caller, second_web):
    assert [status_on(caller.web, caller), status_on(second_web, caller)] == [200, 200]

    with control_plane(), in_tenant(caller.tenant):
        entitle(limits=ROOMY | {"spend_per_month": "0"})

    assert [status_on(second_web, caller), status_on(caller.web, caller)] == [429, 429]
    refused = caller.chat()
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-lockstep-limit"] == "tenant.spend_per_month"
    assert refused.headers["x-should-retry"] == "false"


def test_a_downgrade_that_removes_a_feature_holds_on_the_next_request_on_every_process(caller, second_web):
    with in_tenant(caller.tenant):
        child = keys.issue_child_key(caller.key_id, actor=ADMIN, name="agent")
    agent = replace(caller, secret=child.secret)
    assert [status_on(caller.web, agent), status_on(second_web, agent)] == [200, 200]

    with control_plane(), in_tenant(caller.tenant):
        entitle(features={"child_keys": False, "background_responses": False, "audit_log": False})

    assert [status_on(second_web, agent), status_on(caller.web, agent)] == [403, 403]
    refused = agent.chat()
    assert refused.headers["x-lockstep-code"] == "feature_not_included"
    assert "does not include child_keys" in refused.json()["error"]["message"]
    assert [status_on(second_web, caller), status_on(caller.web, caller)] == [200, 200]
    later = caller.post(
        "/v1/responses", {"model": "gpt-4o-mini", "input": "hi", "background": True, "max_output_tokens": 5}
    )
    assert (later.status_code, later.headers["x-lockstep-code"]) == (403, "feature_not_included")
    assert caller.get("/api/v1/audit").status_code == 403


def test_a_feature_that_is_given_back_holds_on_the_next_request_too(new_caller):
    caller = new_caller(key={"scopes": ["audit:read"]})
    with control_plane(), in_tenant(caller.tenant):
        entitle(features={"audit_log": False})
    assert caller.get("/api/v1/audit").json()["code"] == "feature_not_included"

    with control_plane(), in_tenant(caller.tenant):
        entitle(features={"audit_log": True})

    assert caller.get("/api/v1/audit").status_code == 200
