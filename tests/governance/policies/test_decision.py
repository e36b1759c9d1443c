"""The decision: what several policies together leave of a request, and that none gives back what another took."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.governance.policies.decision import Facts, PolicyLevel, PolicySet, Tool, compile_policy
from apps.governance.policies.rules import Rule, read_rules

TUESDAY_NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    provider: str
    region: str = ""
    retention_days: int | None = None
    trains_on_data: bool | None = None


EU = Place("north", "eu", 0, False)
US = Place("west", "us-east", 30, False)
UNKNOWN = Place("somewhere")
PLACES = (EU, US, UNKNOWN)


def policies(*levels, shadow=None):
    made = [
        compile_policy(level, number, read_rules(rules))
        for number, (level, rules) in enumerate(levels, start=1)
    ]
    if shadow is not None:
        made.append(compile_policy(PolicyLevel.TENANT, 9, read_rules(shadow), is_shadow=True))
    return PolicySet(made)


def asked(**more):
    return Facts("gpt-4o", TUESDAY_NOON, **more)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"providers": {"allow": ["north", "some*"]}}, [EU, UNKNOWN]),
        ({"providers": {"deny": ["north"]}}, [US, UNKNOWN]),
        ({"regions": {"deny": ["us-*"]}}, [EU]),
        ({"data_handling": {"max_retention_days": 30}}, [EU, US]),
        ({"data_handling": {"max_retention_days": 0}}, [EU]),
        ({"data_handling": {"no_training": True}}, [EU, US]),
    ],
)
def test_targets_that_a_rule_does_not_permit_are_left_out_and_unknown_is_not_permitted(rules, left):
    judged = policies((PolicyLevel.TENANT, rules)).judge(asked(), PLACES)

    assert judged.refusal is None
    assert list(judged.targets) == left


def test_the_rule_that_takes_the_last_target_refuses_with_level_and_version():
    judged = policies(
        (PolicyLevel.TENANT, {"regions": {"allow": ["us-*"]}}),
        (PolicyLevel.KEY, {"data_handling": {"max_retention_days": 7}}),
    ).judge(asked(), PLACES)

    assert judged.refusal is not None
    assert judged.refusal.rule is Rule.DATA_HANDLING
    assert judged.refusal.message == (
        "The policy of this key (version 2) refuses this by its rule data_handling: no provider of the model "
        "handles data as asked (kept at most 7 days) (west: keeps it 30 days, does not train on it)."
    )


def test_the_least_output_of_all_levels_holds_where_none_was_asked_for_and_more_is_refused_where_it_was():
    both = policies(
        (PolicyLevel.OPERATOR, {"max_output_tokens": 500}), (PolicyLevel.KEY, {"max_output_tokens": 800})
    )

    assert both.judge(asked(), PLACES).output_cap == 500
    assert both.judge(asked(asked_output=500), PLACES).refusal is None
    refusal = both.judge(asked(asked_output=501), PLACES).refusal
    assert refusal is not None and refusal.policy.level is PolicyLevel.OPERATOR
    assert both.judge(Facts("m", TUESDAY_NOON, has_output=False), PLACES).output_cap is None


@pytest.mark.parametrize(
    ("rules", "tool", "is_allowed"),
    [
        ({"allow": ["web_search"]}, Tool(("x",), ("web_search_20250305", "web_search")), True),
        # Whoever calls a provider's tool by a function's name does not get it.
        ({"allow": ["get_weather"]}, Tool(("get_weather",), ("web_search",)), False),
        ({"allow": ["get_weather"]}, Tool(("get_weather",)), True),
        ({"allow": ["get_*"]}, Tool(("set_weather",)), False),
        ({"deny": ["web_search"]}, Tool((), ("web_search_20250305", "web_search")), False),
        ({"deny": ["bash"]}, Tool(("bash",), ("bash_20250124",)), False),
        ({"deny": ["bash"]}, Tool(("get_weather",)), True),
        ({"deny": ["bash"]}, Tool(), False),
        ({"allow": []}, Tool(("get_weather",)), False),
    ],
)
def test_tools_are_known_by_a_functions_name_or_a_providers_type(rules, tool, is_allowed):
    judged = policies((PolicyLevel.KEY, {"tools": rules})).judge(asked(tools=[tool]), PLACES)

    assert (judged.refusal is None) is is_allowed


def test_hours_models_and_prompts_refuse():
    night = {"hours": {"zone": "UTC", "windows": [{"days": ["tue"], "from": "20:00", "to": "06:00"}]}}
    found = [
        policies((PolicyLevel.TENANT, rules)).judge(asked(), PLACES).refusal
        for rules in (night, {"models": {"deny": ["gpt-*"]}}, {"approved_prompts_only": True})
    ]

    assert [each and each.rule for each in found] == [Rule.HOURS, Rule.MODELS, Rule.PROMPTS]
    assert (
        policies((PolicyLevel.TENANT, {"approved_prompts_only": True}))
        .judge(asked(prompt_ref="welcome@3"), PLACES)
        .refusal
        is None
    )


def test_a_shadow_refuses_nothing_takes_nothing_and_is_noted():
    judged = policies(shadow={"models": {"deny": ["*"]}, "max_output_tokens": 5}).judge(asked(), PLACES)

    assert judged.refusal is None and judged.output_cap is None
    assert list(judged.targets) == list(PLACES)
    assert [(each.policy.version, each.rule) for each in judged.shadowed] == [(9, Rule.MODELS)]


def test_steps_tell_every_rule_also_after_the_one_that_refuses():
    steps = []
    judged = policies(
        (PolicyLevel.TENANT, {"models": {"deny": ["gpt-*"]}, "max_output_tokens": 10}),
        (PolicyLevel.KEY, {"tools": {"allow": []}}),
        shadow={"providers": {"allow": ["nobody"]}},
    ).judge(asked(), PLACES, steps)

    assert judged.refusal is not None and judged.refusal.rule is Rule.MODELS
    assert [(step.policy.level.value, step.rule.value, not step.said) for step in steps] == [
        ("tenant", "models", False),
        ("tenant", "max_output_tokens", True),
        ("key", "tools", True),
        ("tenant", "providers", False),
    ]


NAMES = st.lists(st.sampled_from(["a*", "b*", "*", "north", "west", "eu", "us-*", "gpt-4o"]), max_size=3)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "models": st.fixed_dictionaries({}, optional={"deny": NAMES}),
        "providers": st.fixed_dictionaries({}, optional={"deny": NAMES}),
        "regions": st.fixed_dictionaries({}, optional={"deny": NAMES}),
        "tools": st.fixed_dictionaries({}, optional={"allow": NAMES, "deny": NAMES}),
        "max_output_tokens": st.integers(1, 100),
        "data_handling": st.fixed_dictionaries(
            {}, optional={"max_retention_days": st.integers(0, 40), "no_training": st.booleans()}
        ),
        "approved_prompts_only": st.booleans(),
    },
)


@given(st.lists(RULES, min_size=1, max_size=4), st.none() | st.integers(1, 100), st.booleans())
def test_another_policy_never_gives_back_what_the_others_took(rules, output, with_tool):
    levels = list(PolicyLevel)[: len(rules)]
    facts = asked(asked_output=output, tools=[Tool(("north",))] if with_tool else [])
    fewer = policies(*zip(levels[:-1], rules[:-1], strict=True)).judge(facts, PLACES)
    more = policies(*zip(levels, rules, strict=True)).judge(facts, PLACES)

    if fewer.refusal is not None:
        assert more.refusal is not None
        assert more.refusal.message == fewer.refusal.message
    elif more.refusal is None:
        assert set(more.targets) <= set(fewer.targets)
        if fewer.output_cap is not None:
            assert more.output_cap is not None and more.output_cap <= fewer.output_cap
