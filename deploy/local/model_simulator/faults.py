"""Rules a test posts to `/_faults`: which requests they match, how often, and what they then do."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from deploy.local.model_simulator.behaviour import PLAIN, Behaviour, UnknownOption, steer

_MATCHERS = {"model", "dialect", "endpoint", "stream", "header", "user", "api_key"}
_RULE_FIELDS = {"id", "match", "times", "after", "probability", "seed", "effect"}


class BadRule(ValueError):
    """A rule that cannot be understood; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a rule may look at in a request."""

    model: str
    dialect: str
    endpoint: str
    stream: bool
    headers: Mapping[str, str]
    user: str | None
    api_key: str


@dataclass(slots=True)
class Rule:
    """One steering rule. Names are matched with shell wildcards, header names without regard to case."""

    id: str
    match: dict[str, Any]
    effect: dict[str, Any]
    times: int | None = None
    after: int = 0
    probability: float = 1.0
    seed: int = 0
    matched: int = 0
    applied: int = 0
    _draw: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)  # noqa: S311 - reproducible on purpose

    def applies_to(self, occasion: Occasion) -> bool:
        """Say whether this request gets the effect, and count it."""
        if self.times is not None and self.applied >= self.times:
            return False
        if not all(_fits(name, wanted, occasion) for name, wanted in self.match.items()):
            return False
        self.matched += 1
        if self.matched <= self.after:
            return False
        if self.probability < 1 and self._draw.random() >= self.probability:
            return False
        self.applied += 1
        return True

    def described(self) -> dict[str, Any]:
        """Return the rule as `GET /_faults` shows it."""
        return {
            "id": self.id,
            "match": self.match,
            "effect": self.effect,
            "times": self.times,
            "after": self.after,
            "probability": self.probability,
            "seed": self.seed,
            "matched": self.matched,
            "applied": self.applied,
        }


def _fits(name: str, wanted: Any, occasion: Occasion) -> bool:
    if name == "header":
        return all(
            key in occasion.headers and fnmatchcase(occasion.headers[key], str(value))
            for key, value in wanted.items()
        )
    if name == "stream":
        return occasion.stream is bool(wanted)
    found = getattr(occasion, name)
    return found is not None and fnmatchcase(str(found), str(wanted))


class FaultBook:
    """The rules in force. The first one that applies to a request decides."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._made = 0

    def add(self, given: Any) -> list[Rule]:
        """Add one rule or a list of rules, all or none."""
        added = [self._read(one) for one in (given if isinstance(given, list) else [given])]
        self._rules += added
        return added

    def clear(self) -> int:
        """Forget every rule and return how many there were."""
        forgotten = len(self._rules)
        self._rules.clear()
        return forgotten

    @property
    def is_empty(self) -> bool:
        """Whether no rule is in force."""
        return not self._rules

    def rules(self) -> list[Rule]:
        """Return the rules in the order in which they are tried."""
        return list(self._rules)

    def apply(self, behaviour: Behaviour, occasion: Occasion) -> tuple[Behaviour, str | None]:
        """Return the behaviour under the rules, and the id of the rule that changed it."""
        for rule in self._rules:
            if rule.applies_to(occasion):
                return steer(behaviour, rule.effect), rule.id
        return behaviour, None

    def _read(self, given: Any) -> Rule:
        if not isinstance(given, dict) or not isinstance(given.get("effect"), dict):
            raise BadRule('A rule is a JSON object with an "effect" object, and perhaps a "match" object.')
        if unknown := set(given) - _RULE_FIELDS:
            raise BadRule(
                f"A rule has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_RULE_FIELDS))}."
            )
        match = given.get("match") or {}
        if unknown := set(match) - _MATCHERS:
            raise BadRule(f"A rule cannot match on {', '.join(sorted(unknown))}.")
        if "header" in match and not isinstance(match["header"], dict):
            raise BadRule('"header" is an object of header names and values.')
        try:
            steer(PLAIN, given["effect"])
        except UnknownOption as error:
            raise BadRule(str(error)) from error
        self._made += 1
        return Rule(
            id=str(given.get("id", f"rule-{self._made}")),
            match=match,
            effect=given["effect"],
            times=given.get("times"),
            after=int(given.get("after", 0)),
            probability=float(given.get("probability", 1)),
            seed=int(given.get("seed", 0)),
        )
