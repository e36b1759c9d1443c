"""Keys at the gateway's door, over HTTP."""

import time
from datetime import timedelta
from typing import Any

import requests

from apps.governance.types import Actor
from apps.keys import selectors
from apps.keys import services as keys
from apps.keys.types import KeyLimits
from apps.tenancy.services import in_tenant
from tests.ai_usage.gateway.conftest import TestCaller
from tests.system import running_web

SYSTEM = Actor.system("tests")


def test_last_use_is_written_with_address_and_agent_soon_after_a_call(
    services: Any, caller: TestCaller
) -> None:
    with running_web(services, GATEWAY_LAST_USE_SECONDS="1") as web:
        caller.web = web
        assert (
            caller.post("/v1/chat/completions", _HELLO, headers={"user-agent": "check/1.0"}).status_code
            == 200
        )
        deadline = time.monotonic() + 20
        with in_tenant(caller.tenant):
            while selectors.key(caller.key_id).last_used_at is None and time.monotonic() < deadline:
                time.sleep(0.2)
            key = selectors.key(caller.key_id)

    assert (key.last_used_address, key.last_used_agent) == ("127.0.0.1", "check/1.0")


def test_what_is_noted_is_written_when_the_process_stops(services: Any, caller: TestCaller) -> None:
    with running_web(services) as web:
        caller.web = web
        assert caller.chat().status_code == 200

    with in_tenant(caller.tenant):
        assert selectors.key(caller.key_id).last_used_address == "127.0.0.1"


def test_a_rotated_key_works_on_and_says_until_when(caller: TestCaller) -> None:
    with in_tenant(caller.tenant):
        new = keys.rotate_key(caller.key_id, actor=SYSTEM, overlap=timedelta(hours=1))

    old = caller.chat()

    assert old.status_code == 200
    assert old.headers["deprecation"].startswith("@")
    assert "GMT" in old.headers["sunset"]
    caller.secret = new.secret
    fresh = caller.chat()
    assert fresh.status_code == 200
    assert "sunset" not in fresh.headers


def test_a_child_works_until_its_parent_is_disabled(caller: TestCaller) -> None:
    with in_tenant(caller.tenant):
        child = keys.issue_child_key(caller.key_id, actor=SYSTEM, name="child")
    parent_id, caller.secret = caller.key_id, child.secret
    assert caller.chat().status_code == 200

    with in_tenant(caller.tenant):
        keys.disable_key(parent_id, actor=SYSTEM)

    assert caller.chat().status_code == 401


def test_networks_hold_and_a_claimed_address_does_not_count(caller: TestCaller) -> None:
    with in_tenant(caller.tenant):
        keys.restrict_key(caller.key_id, actor=SYSTEM, addresses_allowed=["203.0.113.0/24"])

    for headers in ({}, {"x-forwarded-for": "203.0.113.1"}, {"x-real-ip": "203.0.113.1"}):
        assert caller.post("/v1/chat/completions", _HELLO, headers=headers).status_code == 401

    with in_tenant(caller.tenant):
        keys.restrict_key(caller.key_id, actor=SYSTEM, addresses_allowed=["::ffff:127.0.0.0/104"])
    assert caller.chat().status_code == 200


def test_odd_headers_get_the_same_answer_as_no_key(caller: TestCaller) -> None:
    url, secret = f"{caller.web.url}/v1/chat/completions", caller.secret
    odd: list[dict[str, Any]] = [
        {},
        {"authorization": secret},
        {"authorization": f"Basic {secret}"},
        {"authorization": f"Bearer {secret}", "x-api-key": secret},
        {"authorization": f"Bearer {secret[:-1]}"},
        {"authorization": f"Bearer {secret}é".encode()},
        {"x-api-key": f"{secret},{secret}"},
    ]

    answers = [requests.post(url, json=_HELLO, headers=headers, timeout=20) for headers in odd]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


_HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}


def test_children_share_their_parents_limits_and_budgets_instead_of_having_them_each(
    caller: TestCaller,
) -> None:
    with in_tenant(caller.tenant):
        keys.restrict_key(caller.key_id, actor=SYSTEM, limits=KeyLimits(requests_per_minute=3))
        secrets = [
            keys.issue_child_key(caller.key_id, actor=SYSTEM, name=f"run {number}").secret
            for number in range(2)
        ]

    answers = []
    for number in range(5):
        caller.secret = secrets[number % 2]
        answers.append(caller.chat())

    refused = answers[-1]
    assert [answer.status_code for answer in answers].count(200) == 3
    assert refused.status_code == 429
    assert refused.headers["x-lockstep-limit"] in ("parent.requests_per_minute", "key.requests_per_minute")
    assert "parent.requests_per_minute" in {answer.headers.get("x-lockstep-limit") for answer in answers}
