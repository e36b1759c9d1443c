"""Policies over REST: versions, bounds, trying before saving, and asking why."""

import pytest

from apps.keys.selectors import key as read_key
from apps.tenancy.services import in_tenant
from tests.factories.policies import bound

NOBODY = "01a1f0b2-0000-7000-8000-000000000000"
EVERYTHING = {"scopes": ["settings:read", "settings:write", "inference:write"]}


@pytest.fixture
def manager(new_caller):
    """A caller that may write settings."""
    return new_caller(key=EVERYTHING)


def call(caller, method, path, body=None, **headers):
    import requests

    return requests.request(
        method,
        f"{caller.web.url}/api/v1/policies{path}",
        json=body,
        headers={"authorization": f"Bearer {caller.secret}"} | headers,
        timeout=30,
    )


def test_a_policy_is_saved_read_rolled_back_and_taken_away(manager):
    first = call(manager, "PUT", "/tenant/self", {"rules": {"max_output_tokens": 100}, "note": "start"})
    second = call(manager, "PUT", "/tenant/self", {"rules": {"max_output_tokens": 50}, "based_on": 1})
    late = call(manager, "PUT", "/tenant/self", {"rules": {}, "based_on": 1})
    restored = call(manager, "POST", "/tenant/self/versions/1/restore", {})

    assert (first.status_code, first.json()["version"], first.json()["note"]) == (200, 1, "start")
    assert second.json()["version"] == 2
    assert (late.status_code, late.json()["code"]) == (409, "policy_changed_meanwhile")
    assert (restored.json()["version"], restored.json()["restored_from"]) == (3, 1)
    standing = call(manager, "GET", "/tenant/self").json()
    assert standing["enforced"]["rules"] == {"max_output_tokens": 100}
    assert manager.chat(max_tokens=101).json()["error"]["code"] == "output_not_allowed_by_policy"
    versions = call(manager, "GET", "/tenant/self/versions?limit=2").json()
    assert [each["version"] for each in versions["data"]] == [3, 2]
    rest = call(manager, "GET", f"/tenant/self/versions?cursor={versions['next_cursor']}&limit=2").json()
    assert [each["version"] for each in rest["data"]] == [1]

    removed = call(manager, "DELETE", "/tenant/self")

    assert removed.status_code == 204
    assert call(manager, "GET", "/tenant/self").json()["code"] == "policy_not_found"
    assert call(manager, "DELETE", "/tenant/self").json()["code"] == "policy_not_found"
    assert manager.chat(max_tokens=101).status_code == 200
    with in_tenant(manager.tenant):
        from apps.governance.selectors import audit_log

        entries = audit_log(action="policy.saved")
    assert (entries[0].details["version"], entries[0].details["mode"]) == (4, "off")
    assert entries[2].details["before"] == {"max_output_tokens": 100}
    assert entries[2].details["after"] == {"max_output_tokens": 50}


def test_what_is_looser_than_the_bound_is_told_with_rule_and_bound(manager):
    bound(manager.tenant, {"max_output_tokens": 100, "models": {"allow": ["gpt-*"]}})

    answer = call(
        manager, "PUT", "/tenant/self", {"rules": {"max_output_tokens": 200, "models": {"allow": ["*"]}}}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "policy_looser_than_bound")
    assert answer.json()["detail"] == (
        "A policy can only tighten what stands above it. "
        "models: * would be allowed, but the operator's bounds (version 1) ask: only gpt-*. "
        "max_output_tokens: 200 tokens would be allowed, but the operator's bounds (version 1) ask: "
        "at most 100 tokens an answer."
    )
    assert call(manager, "GET", "/bounds").json() == {
        "version": 1,
        "is_default": False,
        "rules": {"max_output_tokens": 100, "models": {"allow": ["gpt-*"]}},
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"rules": {"max_output_tokens": 0}}, "invalid_policy"),
        ({"rules": []}, "invalid_policy"),
        ({"rules": "x"}, "invalid_policy"),
        ({"rules": {"models": {"allow": [["deep"]]}}}, "invalid_policy"),
        ({}, "invalid_request"),
        ({"rules": {}, "mode": "off"}, "invalid_request"),
        ({"rules": {}, "extra": 1}, "invalid_request"),
    ],
)
def test_what_is_no_policy_is_a_400(manager, body, code):
    answer = call(manager, "PUT", "/tenant/self", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    "path",
    ["/tenant/other", f"/key/{NOBODY}", "/key/self", "/nobody/self", f"/operator/{NOBODY}"],
)
def test_a_subject_that_does_not_exist_is_a_404(manager, path):
    assert call(manager, "PUT", path, {"rules": {}}).status_code == 404


def test_another_tenants_key_has_no_policy_here(manager, new_caller):
    stranger = new_caller(key=EVERYTHING)

    answer = call(manager, "PUT", f"/key/{stranger.key_id}", {"rules": {"models": {"deny": ["*"]}}})
    asked = call(manager, "POST", "/explain", {"key_id": str(stranger.key_id), "model": "gpt-4o"})

    assert (answer.status_code, asked.status_code) == (404, 404)
    assert stranger.chat().status_code == 200


def test_reading_and_writing_need_their_scopes(new_caller):
    reader = new_caller(key={"scopes": ["settings:read"]})
    other = new_caller(key={"scopes": ["usage:read"]})

    assert call(reader, "GET", "").json() == {"data": [], "next_cursor": None}
    assert call(reader, "PUT", "/tenant/self", {"rules": {}}).json()["code"] == "scope_missing"
    assert call(other, "GET", "").json()["code"] == "scope_missing"
    assert call(other, "POST", "/explain", {"key_id": str(other.key_id)}).json()["code"] == "scope_missing"


def test_every_subject_is_listed_with_its_name(manager):
    with in_tenant(manager.tenant):
        owner = read_key(manager.key_id).owner
    call(manager, "PUT", f"/key/{manager.key_id}", {"rules": {"tools": {"allow": []}}})
    call(
        manager, "PUT", f"/service_account/{owner.id}", {"rules": {"max_output_tokens": 9}, "mode": "shadow"}
    )

    listed = call(manager, "GET", "").json()["data"]

    assert [(each["level"], each["subject_name"], each["newest_version"]) for each in listed] == [
        ("service_account", owner.name, 1),
        ("key", "first", 1),
    ]
    assert listed[0]["enforced"] is None and listed[0]["shadow"]["mode"] == "shadow"


def test_a_dry_run_says_what_would_have_been_refused_and_what_it_cannot_tell(manager):
    from apps.ai_usage.models import Call

    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    manager.chat(max_tokens=60)
    manager.chat(model="gpt-4o", tools=[tool])
    manager.chat("Tell me a long story. " * 30)
    manager.chat(model="nothing")
    with in_tenant(manager.tenant):
        from tests.planes import control_plane
        from tests.system import wait_for

        wait_for(lambda: Call.objects.count() == 4)
        with control_plane(), in_tenant(manager.tenant):
            oldest = Call.objects.order_by("started_at").first()
            # As calls were written down before their wishes were kept.
            Call.objects.filter(pk=oldest.pk).update(explanation={})

    tried = call(
        manager,
        "POST",
        "/dry-run",
        {
            "rules": {"models": {"deny": ["gpt-4o"]}, "tools": {"allow": []}, "max_output_tokens": 5},
            "calls": 100,
        },
    ).json()

    assert (tried["looked_at"], tried["concerned"], tried["already_refused"]) == (4, 4, 1)
    assert tried["would_refuse"] == 1
    assert tried["refused_by"] == {"models": 1, "tools": 1}
    assert tried["not_judged"] == {"tools": 1, "max_output_tokens": 1}
    assert tried["would_be_cut"] >= 1
    assert [(each["model"], each["rule"]) for each in tried["examples"]] == [("gpt-4o", "models")]
    assert tried["looser_than_bound"] == []
    mine = call(
        manager,
        "POST",
        "/dry-run",
        {"level": "key", "subject_id": str(manager.key_id), "rules": {"models": {"deny": ["*"]}}},
    ).json()
    assert (mine["concerned"], mine["would_refuse"]) == (4, 3)
    assert call(manager, "GET", "").json()["data"] == []


def test_a_shadows_refusals_are_counted(manager):
    call(manager, "PUT", "/tenant/self", {"rules": {"models": {"deny": ["gpt-4o"]}}, "mode": "shadow"})
    assert [manager.chat(model="gpt-4o").status_code, manager.chat().status_code] == [200, 200]

    count = call(manager, "GET", "/tenant/self/shadow").json()

    assert (count["version"], count["looked_at"], count["would_refuse"], count["refused_by"]) == (
        1,
        2,
        1,
        {"models": 1},
    )


def test_asking_why_answers_what_the_gateway_answers(manager):
    call(
        manager,
        "PUT",
        f"/key/{manager.key_id}",
        {"rules": {"tools": {"deny": ["f"]}, "max_output_tokens": 20}},
    )
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    key = str(manager.key_id)

    refused = call(manager, "POST", "/explain", {"key_id": key, "model": "gpt-4o", "tools": ["f"]}).json()
    really = manager.chat(model="gpt-4o", tools=[tool])
    allowed = call(manager, "POST", "/explain", {"key_id": key, "model": "gpt-4o"}).json()
    broken = call(manager, "POST", "/explain", {"key_id": key, "body": "{"}).json()
    odd = call(manager, "POST", "/explain", {"key_id": key, "body": [1], "host": "nobody.example"}).json()

    assert (refused["allowed"], refused["code"], refused["status"]) == (
        False,
        "tool_not_allowed_by_policy",
        403,
    )
    assert refused["message"] == really.json()["error"]["message"]
    assert (allowed["allowed"], allowed["granted_output_tokens"]) == (True, 20)
    assert {each["name"] for each in allowed["limits"]} >= {
        "tenant.requests_per_minute",
        "tenant.spend_per_month",
    }
    assert (broken["code"], broken["rules"][-1]["rule"]) == ("invalid_json", "request")
    assert (odd["code"], odd["rules"][-1]["rule"]) == ("unknown_host", "host")
