"""What policies let through, clamp and refuse, in both dialects and on every endpoint."""

import uuid
from typing import Any

import pytest

from apps.ai_usage.gateway.policies import tools_of
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.models import Provider
from apps.ai_usage.normalise import Endpoint
from apps.governance.services import restore_policy
from apps.tenancy.services import in_tenant
from tests.factories.policies import SYSTEM, bound, bound_all, policy_of
from tests.planes import control_plane
from tests.system import running_web

CLAUDE = "claude-sonnet-5-5"
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
BASH = {"type": "bash_20250124", "name": "bash"}
CLOSED = {"zone": "UTC", "windows": [{"days": ["mon"], "from": "03:00", "to": "03:01"}]}


@pytest.fixture
def openai_in_eu():
    """OpenAI in the EU, keeping nothing; of Anthropic nothing is known."""
    with control_plane():
        Provider.objects.filter(name="openai").update(region="eu", retention_days=0, trains_on_data=False)
    yield
    with control_plane():
        Provider.objects.filter(name="openai").update(region="", retention_days=None, trains_on_data=None)


def message(caller: Any, model: str = CLAUDE, **more: Any) -> Any:
    body = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]} | more
    return caller.post("/v1/messages", body)


@pytest.mark.parametrize(
    ("rules", "asked", "code"),
    [
        ({"models": {"deny": ["gpt-*"]}}, {}, "model_not_allowed_by_policy"),
        ({"providers": {"allow": ["anthropic"]}}, {}, "provider_not_allowed_by_policy"),
        ({"regions": {"allow": ["eu"]}}, {}, "region_not_allowed_by_policy"),
        ({"data_handling": {"no_training": True}}, {}, "data_handling_not_allowed_by_policy"),
        ({"max_output_tokens": 10}, {"max_tokens": 11}, "output_not_allowed_by_policy"),
        ({"max_output_tokens": 10}, {"max_completion_tokens": 11}, "output_not_allowed_by_policy"),
        ({"tools": {"allow": []}}, {"tools": [WEATHER]}, "tool_not_allowed_by_policy"),
        (
            {"tools": {"deny": ["get_*"]}},
            {"functions": [{"name": "get_weather"}]},
            "tool_not_allowed_by_policy",
        ),
        (
            {"tools": {"deny": ["file_search"]}},
            {"tools": [{"type": "file_search"}]},
            "tool_not_allowed_by_policy",
        ),
        ({"tools": {"allow": ["x"]}}, {"tools": ["odd"]}, "tool_not_allowed_by_policy"),
        ({"approved_prompts_only": True}, {}, "approved_prompt_required"),
        ({"hours": CLOSED}, {}, "outside_policy_hours"),
    ],
)
def test_a_rule_refuses_with_its_code_and_names_policy_and_version(caller, rules, asked, code):
    saved = policy_of(caller.tenant, rules)

    answer = caller.chat(**asked)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)
    assert answer.headers["x-lockstep-code"] == code
    (rule,) = saved.rules.to_json()
    assert answer.headers["x-lockstep-policy"] == f"tenant/1 {rule}"
    assert f"The policy of this tenant (version 1) refuses this by its rule {rule}: " in answer.text
    assert caller.events() == []


def test_the_other_dialect_says_it_in_its_form(caller):
    policy_of(caller.tenant, {"tools": {"deny": ["bash"]}})

    answer = message(caller, tools=[BASH])

    assert answer.status_code == 403
    assert answer.json()["error"] == {
        "type": "permission_error",
        "code": "tool_not_allowed_by_policy",
        "message": "The policy of this tenant (version 1) refuses this by its rule tools: "
        "the tool bash is not allowed.",
    }


def test_what_the_policy_lets_through_goes_through(caller, openai_in_eu):
    rules = {
        "models": {"allow": ["gpt-4o*"]},
        "providers": {"allow": ["openai"]},
        "regions": {"allow": ["eu*"]},
        "data_handling": {"max_retention_days": 0, "no_training": True},
        "max_output_tokens": 100,
        "tools": {"allow": ["get_weather"]},
        "hours": {
            "zone": "Europe/Berlin",
            "windows": [
                {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "24:00"}
            ],
        },
    }
    policy_of(caller.tenant, rules)

    assert caller.chat(max_tokens=100, tools=[WEATHER]).status_code == 200
    assert message(caller).json()["error"]["code"] == "model_not_allowed_by_policy"
    assert [each["id"] for each in caller.get("/v1/models").json()["data"]] == ["gpt-4o", "gpt-4o-mini"]
    assert caller.get(f"/v1/models/{CLAUDE}").json()["error"]["code"] == "model_not_allowed_by_policy"


def test_an_answer_has_at_most_what_the_policy_lets_through_where_nothing_was_asked(caller, simulator):
    policy_of(caller.tenant, {"max_output_tokens": 7})

    answer = caller.chat("Tell me a very long story, please, with many words in it. " * 20)

    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] <= 7
    assert answer.headers["x-lockstep-output-clamped-to"] == "7"
    assert caller.chat(n=2).headers["x-lockstep-output-clamped-to"] == "14"
    # What is sent by a caller who does name a limit goes on as it was said.
    assert "x-lockstep-output-clamped-to" not in caller.chat(max_tokens=7).headers


def test_levels_add_up_and_each_is_named(new_caller):
    caller = new_caller()
    with in_tenant(caller.tenant):
        from apps.keys.selectors import key

        owner = key(caller.key_id).owner.id
    bound(caller.tenant, {"max_output_tokens": 400})
    policy_of(caller.tenant, {"max_output_tokens": 300})
    policy_of(caller.tenant, {"max_output_tokens": 200}, "service_account", owner)
    policy_of(caller.tenant, {"tools": {"allow": []}}, "key", caller.key_id)
    policy_of(caller.tenant, {"models": {"deny": ["*"]}}, "key", uuid.uuid4())

    named = [caller.chat(max_tokens=limit).headers.get("x-lockstep-policy") for limit in (401, 301, 201, 200)]

    assert named == [
        "operator/1 max_output_tokens",
        "tenant/1 max_output_tokens",
        "service_account/1 max_output_tokens",
        None,
    ]
    assert caller.chat(tools=[WEATHER]).headers["x-lockstep-policy"] == "key/1 tools"


def test_a_child_stands_under_its_parents_policy_and_a_successor_under_its_predecessors(caller):
    from apps.keys import services as keys
    from tests.ai_usage.gateway.conftest import TestCaller

    policy_of(caller.tenant, {"tools": {"allow": []}}, "key", caller.key_id)
    with in_tenant(caller.tenant):
        child = keys.issue_child_key(caller.key_id, actor=SYSTEM, name="run", scopes=["inference:write"])
        successor = keys.rotate_key(caller.key_id, actor=SYSTEM)

    answers = [
        TestCaller(caller.tenant, issued.secret, issued.key.id, caller.web).chat(tools=[WEATHER])
        for issued in (child, successor)
    ]

    assert [each.headers["x-lockstep-policy"] for each in answers] == ["parent_key/1 tools", "key/1 tools"]


def test_the_default_bounds_hold_for_tenants_without_their_own(new_caller):
    one, other = new_caller(), new_caller()
    bound_all({"models": {"deny": [CLAUDE]}})
    try:
        bound(other.tenant, {"models": {"deny": ["gpt-4o"]}})

        assert message(one).headers["x-lockstep-policy"] == "operator/1 models"
        assert one.chat(model="gpt-4o").status_code == 200
        assert message(other).status_code == 200
        assert other.chat(model="gpt-4o").headers["x-lockstep-policy"] == "operator/1 models"
    finally:
        bound_all(None)
    assert message(one).status_code == 200


def test_a_shadow_lets_through_and_what_it_would_refuse_is_written_down(caller):
    policy_of(caller.tenant, {"tools": {"allow": []}}, mode="shadow")

    assert caller.chat(tools=[WEATHER], max_tokens=9).status_code == 200
    assert caller.chat().status_code == 200

    first, second = caller.calls()
    assert first.explanation["shadow"] == [["tenant", 1, "tools", "the tool get_weather is not allowed"]]
    assert first.explanation["wishes"] == {"output": 9, "tools": ["get_weather"]}
    assert "shadow" not in second.explanation
    assert second.explanation["wishes"] == {}


def test_a_shadow_stands_beside_what_is_in_force_until_it_is_enforced(caller):
    policy_of(caller.tenant, {"models": {"deny": ["gpt-4o"]}})
    policy_of(caller.tenant, {"models": {"deny": ["gpt-*"]}}, mode="shadow")

    assert caller.chat(model="gpt-4o").headers["x-lockstep-policy"] == "tenant/1 models"
    assert caller.chat().status_code == 200
    with in_tenant(caller.tenant):
        restore_policy("tenant", None, 2, actor=SYSTEM)
    assert caller.chat().headers["x-lockstep-policy"] == "tenant/3 models"


def test_counting_and_background_responses_obey_too(caller):
    policy_of(caller.tenant, {"tools": {"deny": ["bash", "computer_use"]}, "max_output_tokens": 20})
    asked = {"model": CLAUDE, "messages": [{"role": "user", "content": "Hi"}]}

    counted = caller.post("/v1/messages/count_tokens", asked | {"tools": [BASH]})
    free = caller.post("/v1/messages/count_tokens", asked | {"max_tokens": 5000})
    background = {"model": "gpt-4o", "input": "Hello", "background": True, "store": True}
    refused = caller.post("/v1/responses", background | {"tools": [{"type": "computer_use_preview"}]})
    too_long = caller.post("/v1/responses", background | {"max_output_tokens": 21})

    assert (counted.status_code, counted.json()["error"]["code"]) == (403, "tool_not_allowed_by_policy")
    assert free.status_code == 200
    assert refused.json()["error"]["code"] == "tool_not_allowed_by_policy"
    assert too_long.json()["error"]["code"] == "output_not_allowed_by_policy"


def test_of_a_route_with_several_targets_only_the_permitted_ones_are_asked(caller, openai_in_eu):
    from tests.factories.catalogue import COSTS, add_route, price

    name = f"mixed-{uuid.uuid4().hex[:6]}"
    with control_plane():
        from apps.ai_usage.models import RouteTarget

        ours, theirs = Provider.objects.get(name="openai"), Provider.objects.get(name="anthropic")
        route = add_route(ours, name, COSTS["openai", "gpt-4o"], served_as=f"{name}-a")
        RouteTarget.objects.filter(route=route).update(model="gpt-4o")
        RouteTarget.objects.create(route=route, provider=theirs, model=CLAUDE, priority=0)
        assert price is not None
    policy_of(caller.tenant, {"regions": {"allow": ["eu"]}})

    # Without the policy it would go to the target of the client's dialect, which is of an unknown region.
    answer = message(caller, model=name)

    assert answer.status_code == 200
    assert answer.headers["x-lockstep-provider"] == "openai"
    assert answer.headers["x-lockstep-translated-from"] == "openai"


def test_a_policy_holds_on_the_next_request_on_another_process(services, simulator, caller):
    with running_web(services) as other:
        from dataclasses import replace

        there = replace(caller, web=other)
        assert (caller.chat().status_code, there.chat().status_code) == (200, 200)
        codes = []
        for number in range(1, 6):
            policy_of(caller.tenant, {"models": {"deny": ["gpt-4o-mini"]}})
            codes.append((caller.chat().status_code, there.chat().status_code))
            policy_of(caller.tenant, {})
            codes.append((there.chat().status_code, caller.chat().status_code))
            assert number
        bound(caller.tenant, {"models": {"allow": ["claude-*"]}})
        last = there.chat()

    assert codes == [(403, 403), (200, 200)] * 5
    assert last.headers["x-lockstep-policy"] == "operator/1 models"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            {"tools": [{"type": "web_search_preview_2025_03_11"}]},
            [(), ("web_search_preview_2025_03_11", "web_search")],
        ),
        ({"web_search_options": {}}, [(), ("web_search",)]),
        ({"tools": [{"type": "custom", "custom": {"name": "grep"}}]}, [("grep",), ()]),
        ({"tools": [{"type": "namespace", "tools": [{"type": "function", "name": "f"}]}]}, [("f",), ()]),
        ({"tools": [{"name": "f", "input_schema": {}}]}, [("f",), ()]),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://a.example/s"}]},
            [(), ("mcp", "mcp:a.example")],
        ),
        (
            {"mcp_servers": [{"type": "url", "url": "https://b.example", "name": "x"}]},
            [(), ("mcp", "mcp:b.example")],
        ),
        ({"tools": [{"type": "mcp", "server_url": "https://[bad"}]}, [(), ("mcp",)]),
        ({"prompt": {"id": "pmpt_1"}}, [(), ("prompt",)]),
        ({"tools": {"type": 3}}, [(), ()]),
        ({"tools": "x"}, [(), ()]),
    ],
)
def test_every_way_of_bringing_a_tool_is_seen(body, found):
    request = ModelRequest(Endpoint.RESPONSES, "openai", b"{}", body, "m", False, {})

    (tool,) = tools_of(request)

    assert [tool.names, tool.kinds] == found


def test_a_member_given_twice_does_not_hide_a_tool(caller):
    policy_of(caller.tenant, {"tools": {"deny": ["get_weather"]}})
    body = (
        '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],'
        '"functions":[{"name":"get_weather"}],"functions":[{"name":"other"}]}'
    )

    answer = caller.post(
        "/v1/chat/completions", headers={"content-type": "application/json"}, data=body.encode()
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "duplicate_member")
