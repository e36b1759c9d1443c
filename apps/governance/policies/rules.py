"""The rules of a policy as a value: read from JSON with every reason why not, and written back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from apps.governance.errors import InvalidPolicy
from apps.governance.policies.hours import DAYS, Hours, Window, clock_text
from apps.governance.policies.names import Names

MOST_NAMES = 200
MOST_WINDOWS = 20
_LONGEST_NAME = 120
_MOST_OUTPUT = 10_000_000
_MOST_RETENTION = 36_500
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


class Rule(StrEnum):
    """What a rule is about, in the order in which the rules of one policy are looked at."""

    HOURS = "hours"
    MODELS = "models"
    PROMPTS = "approved_prompts_only"
    TOOLS = "tools"
    MAX_OUTPUT = "max_output_tokens"
    PROVIDERS = "providers"
    REGIONS = "regions"
    DATA_HANDLING = "data_handling"


@dataclass(frozen=True, slots=True)
class Rules:
    """What one policy asks. None, and False, ask nothing."""

    models: Names | None = None
    providers: Names | None = None
    regions: Names | None = None
    max_retention_days: int | None = None
    no_training: bool = False
    max_output_tokens: int | None = None
    tools: Names | None = None
    approved_prompts_only: bool = False
    hours: Hours | None = None

    def to_json(self) -> dict[str, Any]:
        """The stored and shown form; a rule that asks nothing is left out."""
        said: dict[str, Any] = {}
        for name in ("models", "providers", "regions", "tools"):
            if (names := getattr(self, name)) is not None:
                said[name] = ({} if names.allow is None else {"allow": list(names.allow)}) | (
                    {"deny": list(names.deny)} if names.deny else {}
                )
        handling: dict[str, Any] = {}
        if self.max_retention_days is not None:
            handling["max_retention_days"] = self.max_retention_days
        if self.no_training:
            handling["no_training"] = True
        if handling:
            said["data_handling"] = handling
        if self.max_output_tokens is not None:
            said["max_output_tokens"] = self.max_output_tokens
        if self.approved_prompts_only:
            said["approved_prompts_only"] = True
        if self.hours is not None:
            said["hours"] = {
                "zone": self.hours.zone,
                "windows": [
                    {
                        "days": [DAYS[day] for day in window.days],
                        "from": clock_text(window.begins),
                        "to": clock_text(window.ends),
                    }
                    for window in self.hours.windows
                ],
            }
        return said


def read_rules(stored: Any) -> Rules:
    """Rules from their JSON form; InvalidPolicy tells everything that is wrong with it."""
    reader = _Reader()
    rules = reader.rules(stored)
    if reader.problems:
        raise InvalidPolicy(reader.problems)
    return rules


class _Reader:
    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def rules(self, stored: Any) -> Rules:
        said = self.members(stored, "rules", {rule.value for rule in Rule})
        handling = self.members(
            said.get("data_handling"), "data_handling", {"max_retention_days", "no_training"}
        )
        return Rules(
            models=self.names(said, "models"),
            providers=self.names(said, "providers"),
            regions=self.names(said, "regions"),
            max_retention_days=self.whole(
                handling, "max_retention_days", "data_handling.", 0, _MOST_RETENTION
            ),
            no_training=self.flag(handling, "no_training", "data_handling."),
            max_output_tokens=self.whole(said, "max_output_tokens", "", 1, _MOST_OUTPUT),
            tools=self.names(said, "tools", may_be_empty=True),
            approved_prompts_only=self.flag(said, "approved_prompts_only", ""),
            hours=self.hours(said.get("hours")),
        )

    def members(self, stored: Any, where: str, known: set[str]) -> Mapping[str, Any]:
        if stored is None:
            return {}
        if not isinstance(stored, dict):
            self.problems[where] = "must be an object"
            return {}
        for name in stored:
            if name not in known:
                self.problems[f"{where}.{str(name)[:60]}"] = "there is no such rule; there are " + ", ".join(
                    sorted(known)
                )
        return stored

    def names(self, said: Mapping[str, Any], name: str, *, may_be_empty: bool = False) -> Names | None:
        given = self.members(said.get(name), name, {"allow", "deny"})
        allow = self.patterns(given, "allow", name)
        deny = self.patterns(given, "deny", name)
        if allow == () and not may_be_empty:
            self.problems[f"{name}.allow"] = "an empty list would refuse every call; leave it out instead"
        return None if allow is None and not deny else Names(allow, deny or ())

    def patterns(self, given: Mapping[str, Any], member: str, name: str) -> tuple[str, ...] | None:
        listed, where = given.get(member), f"{name}.{member}"
        if listed is None:
            return None
        if not isinstance(listed, list | tuple) or len(listed) > MOST_NAMES:
            self.problems[where] = f"must be a list of at most {MOST_NAMES} names"
            return None
        for pattern in listed:
            if not isinstance(pattern, str) or not pattern.strip() or not pattern.isprintable():
                self.problems[where] = "must hold names of printable characters; `*` and `?` stand for others"
                return None
            if len(pattern) > _LONGEST_NAME:
                self.problems[where] = f"has a name of more than {_LONGEST_NAME} characters"
                return None
        return tuple(dict.fromkeys(pattern.strip() for pattern in listed))

    def whole(self, said: Mapping[str, Any], name: str, where: str, low: int, high: int) -> int | None:
        value = said.get(name)
        if value is None:
            return None
        if type(value) is not int or not low <= value <= high:
            self.problems[where + name] = f"must be a whole number from {low} to {high}"
            return None
        return value

    def flag(self, said: Mapping[str, Any], name: str, where: str) -> bool:
        value = said.get(name)
        if value is not None and type(value) is not bool:
            self.problems[where + name] = "must be true or false"
        return value is True

    def hours(self, stored: Any) -> Hours | None:
        if stored is None:
            return None
        given = self.members(stored, "hours", {"zone", "windows"})
        zone, listed = given.get("zone"), given.get("windows")
        if not isinstance(zone, str) or not _is_zone(zone):
            self.problems["hours.zone"] = "must be a time zone of the IANA database, such as Europe/Berlin"
        if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_WINDOWS:
            self.problems["hours.windows"] = f"must be a list of 1 to {MOST_WINDOWS} windows"
            return None
        windows = [self.window(each, f"hours.windows.{number}") for number, each in enumerate(listed)]
        whole = tuple(window for window in windows if window is not None)
        if "hours.zone" in self.problems or len(whole) != len(windows):
            return None
        return Hours(str(zone), whole)

    def window(self, stored: Any, where: str) -> Window | None:
        given = self.members(stored, where, {"days", "from", "to"})
        days = given.get("days")
        if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
            self.problems[f"{where}.days"] = f"must be a list of some of {', '.join(DAYS)}"
            return None
        begins, ends = self.clock(given, "from", where), self.clock(given, "to", where)
        if begins is None or ends is None:
            return None
        return Window(tuple(sorted({DAYS.index(day) for day in days})), begins, ends)

    def clock(self, given: Mapping[str, Any], name: str, where: str) -> int | None:
        text = given.get(name)
        found = _CLOCK.match("00:00" if text == "24:00" else text) if isinstance(text, str) else None
        if found is None:
            self.problems[f"{where}.{name}"] = "must be a time of day such as 08:30"
            return None
        return int(found[1]) * 60 + int(found[2])


def describe_rules(rules: Rules) -> dict[Rule, str]:
    """Every rule that asks something, as a phrase."""
    said = {
        Rule.HOURS: None if rules.hours is None else str(rules.hours),
        Rule.MODELS: _names_text(rules.models),
        Rule.PROMPTS: "only approved prompts" if rules.approved_prompts_only else None,
        Rule.TOOLS: _names_text(rules.tools, nothing="no tools"),
        Rule.MAX_OUTPUT: None
        if rules.max_output_tokens is None
        else f"at most {rules.max_output_tokens} tokens an answer",
        Rule.PROVIDERS: _names_text(rules.providers),
        Rule.REGIONS: _names_text(rules.regions),
        Rule.DATA_HANDLING: handling_text(rules),
    }
    return {rule: text for rule, text in said.items() if text}


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def handling_text(rules: Rules) -> str | None:
    """What is asked of how providers handle data."""
    parts = []
    if rules.max_retention_days is not None:
        parts.append(
            "nothing kept"
            if not rules.max_retention_days
            else f"kept at most {rules.max_retention_days} days"
        )
    if rules.no_training:
        parts.append("no training on it")
    return ", ".join(parts) or None


def _names_text(names: Names | None, nothing: str = "nothing") -> str | None:
    if names is None:
        return None
    parts = []
    if names.allow is not None:
        parts.append(f"only {', '.join(names.allow)}" if names.allow else nothing)
    if names.deny:
        parts.append(f"not {', '.join(names.deny)}")
    return "; ".join(parts)
