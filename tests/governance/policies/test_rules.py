"""Rules as values: what is read, what is refused, and what of one policy is looser than another."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.governance.errors import InvalidPolicy
from apps.governance.policies.bounds import looser_rules
from apps.governance.policies.hours import HoursTest
from apps.governance.policies.names import Names, NameTest, is_covered
from apps.governance.policies.rules import Rule, Rules, describe_rules, read_rules

TODAY = date(2026, 11, 24)
EVERYTHING = {
    "models": {"allow": ["gpt-4o*"], "deny": ["*-preview"]},
    "providers": {"deny": ["shady"]},
    "regions": {"allow": ["eu", "eu-*"]},
    "tools": {"allow": []},
    "data_handling": {"max_retention_days": 0, "no_training": True},
    "max_output_tokens": 4096,
    "approved_prompts_only": True,
    "hours": {
        "zone": "Europe/Berlin",
        "windows": [{"days": ["mon", "tue", "wed", "fri"], "from": "08:00", "to": "18:30"}],
    },
}


def test_rules_are_read_and_written_back_as_they_were():
    rules = read_rules(EVERYTHING)

    assert rules.to_json() == EVERYTHING
    assert rules.tools == Names(allow=())
    assert describe_rules(rules)[Rule.HOURS] == "mon-wed,fri 08:00–18:30 (Europe/Berlin)"
    assert describe_rules(rules)[Rule.DATA_HANDLING] == "nothing kept, no training on it"
    assert read_rules({}) == read_rules(None) == Rules()


@pytest.mark.parametrize(
    ("stored", "where"),
    [
        ([], "rules"),
        ({"model": {}}, "rules.model"),
        ({"models": {"allow": []}}, "models.allow"),
        ({"models": {"allow": "gpt-4o"}}, "models.allow"),
        ({"models": {"only": ["x"]}}, "models.only"),
        ({"models": {"allow": ["a\nb"]}}, "models.allow"),
        ({"models": {"allow": [3]}}, "models.allow"),
        ({"models": {"allow": ["x" * 121]}}, "models.allow"),
        ({"tools": {"deny": ["x"] * 201}}, "tools.deny"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "100"}, "max_output_tokens"),
        ({"data_handling": {"max_retention_days": -1}}, "data_handling.max_retention_days"),
        ({"data_handling": {"no_training": "yes"}}, "data_handling.no_training"),
        ({"approved_prompts_only": 1}, "approved_prompts_only"),
        (
            {
                "hours": {
                    "zone": "Mars/Olympus",
                    "windows": [{"days": ["mon"], "from": "08:00", "to": "09:00"}],
                }
            },
            "hours.zone",
        ),
        (
            {"hours": {"zone": "../etc", "windows": [{"days": ["mon"], "from": "08:00", "to": "09:00"}]}},
            "hours.zone",
        ),
        ({"hours": {"zone": "UTC", "windows": []}}, "hours.windows"),
        (
            {"hours": {"zone": "UTC", "windows": [{"days": [], "from": "08:00", "to": "09:00"}]}},
            "hours.windows.0.days",
        ),
        (
            {"hours": {"zone": "UTC", "windows": [{"days": [{}], "from": "08:00", "to": "09:00"}]}},
            "hours.windows.0.days",
        ),
        (
            {"hours": {"zone": "UTC", "windows": [{"days": ["mon"], "from": "8", "to": "09:00"}]}},
            "hours.windows.0.from",
        ),
        (
            {"hours": {"zone": "UTC", "windows": [{"days": ["mon"], "from": "08:00", "to": "25:00"}]}},
            "hours.windows.0.to",
        ),
    ],
)
def test_what_is_no_policy_is_refused_by_its_place(stored, where):
    with pytest.raises(InvalidPolicy) as refused:
        read_rules(stored)

    assert list(refused.value.problems) == [where]


@pytest.mark.parametrize(
    ("rules", "above", "wanted"),
    [
        ({"models": {"allow": ["gpt-4o"]}}, {"models": {"allow": ["gpt-*"]}}, []),
        ({"models": {"allow": ["gpt-*"]}}, {"models": {"allow": ["gpt-4o"]}}, ["models"]),
        ({"models": {"allow": ["gpt-*"]}}, {"models": {"allow": ["gpt-?"]}}, ["models"]),
        ({"models": {"allow": ["gpt-4o"]}}, {"models": {"deny": ["gpt-*"]}}, ["models"]),
        ({"models": {"deny": ["gpt-4o"]}}, {"models": {"allow": ["gpt-4o"]}}, []),
        ({}, {"models": {"allow": ["gpt-4o"]}, "max_output_tokens": 1}, []),
        ({"tools": {"allow": ["a"]}}, {"tools": {"allow": []}}, ["tools"]),
        ({"tools": {"allow": []}}, {"tools": {"allow": ["a"]}}, []),
        ({"max_output_tokens": 100}, {"max_output_tokens": 100}, []),
        ({"max_output_tokens": 101}, {"max_output_tokens": 100}, ["max_output_tokens"]),
        (
            {"data_handling": {"max_retention_days": 30}},
            {"data_handling": {"max_retention_days": 0}},
            ["data_handling"],
        ),
    ],
)
def test_what_is_looser_than_the_policy_above_is_told(rules, above, wanted):
    found = looser_rules(read_rules(rules), read_rules(above), TODAY)

    assert [each.rule.value for each in found] == wanted


def hours(days: str, begins: str, ends: str, zone: str = "UTC") -> Rules:
    return read_rules(
        {"hours": {"zone": zone, "windows": [{"days": days.split(), "from": begins, "to": ends}]}}
    )


@pytest.mark.parametrize(
    ("mine", "above", "is_within"),
    [
        (("mon", "09:00", "17:00"), ("mon tue", "08:00", "18:00"), True),
        (("mon wed", "09:00", "17:00"), ("mon tue", "08:00", "18:00"), False),
        (("mon", "22:00", "02:00"), ("mon", "20:00", "04:00"), True),
        (("mon", "22:00", "02:00"), ("mon", "20:00", "00:00"), False),
        # In winter 09:00 in London is 10:00 in Berlin, in summer too.
        (("mon", "09:00", "16:00", "Europe/London"), ("mon", "10:00", "17:00", "Europe/Berlin"), True),
        (("mon", "09:00", "16:30", "Europe/London"), ("mon", "10:00", "17:00", "Europe/Berlin"), False),
        # Clocks of Berlin change and those of UTC don't: what fits in winter doesn't in summer.
        (("mon", "09:00", "10:00"), ("mon", "10:00", "11:00", "Europe/Berlin"), False),
    ],
)
def test_hours_are_compared_as_moments_whatever_their_zones(mine, above, is_within):
    found = looser_rules(hours(*mine), hours(*above), TODAY)

    assert found == [] if is_within else [each.rule for each in found] == [Rule.HOURS]


def test_a_window_past_midnight_is_of_the_day_on_which_it_begins():
    rules = hours("fri", "22:00", "06:00", "Europe/Berlin")
    assert rules.hours is not None
    test = HoursTest(rules.hours)

    # Berlin is an hour ahead of UTC in November; the 27th is a Friday.
    assert not test.is_open(datetime(2026, 11, 27, 20, 59, tzinfo=UTC))
    assert test.is_open(datetime(2026, 11, 27, 21, 0, tzinfo=UTC))
    assert test.is_open(datetime(2026, 11, 28, 4, 59, tzinfo=UTC))
    assert not test.is_open(datetime(2026, 11, 28, 5, 0, tzinfo=UTC))


def test_a_window_to_midnight_and_one_of_a_whole_day():
    evening, always = hours("mon", "20:00", "24:00").hours, hours("mon", "00:00", "00:00").hours
    assert evening is not None and always is not None

    assert HoursTest(evening).is_open(datetime(2026, 11, 23, 23, 59, tzinfo=UTC))
    assert not HoursTest(evening).is_open(datetime(2026, 11, 24, 0, 0, tzinfo=UTC))
    assert HoursTest(always).is_open(datetime(2026, 11, 23, 0, 0, tzinfo=UTC))
    assert not HoursTest(always).is_open(datetime(2026, 11, 24, 0, 0, tzinfo=UTC))


PATTERN = st.text(alphabet="ab*?[", min_size=1, max_size=6)
NAME = st.text(alphabet="ab[", max_size=6)


@given(PATTERN, PATTERN, NAME)
def test_a_pattern_that_is_covered_means_no_name_that_the_other_does_not(one, other, name):
    if is_covered(one, [other]) and NameTest(Names((one,))).allows(name):
        assert NameTest(Names((other,))).allows(name)


def test_a_name_that_makes_patterns_run_away_takes_no_time():
    test = NameTest(Names(("*a" * 59 + "b",)))

    assert not test.allows("a" * 120)
