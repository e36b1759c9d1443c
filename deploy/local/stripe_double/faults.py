"""What goes wrong on purpose: rules that match requests or webhooks, each for so many times."""

from dataclasses import dataclass, field
from typing import Any

_EFFECTS = {
    "status": "answer with `status` (409, 429, 500 …) and do nothing",
    "timeout_before_commit": "hang up before anything is done",
    "timeout_after_commit": "do it, keep it under its key, and hang up without an answer",
    "decline": "the customer's card is declined",
    "duplicate": "deliver the webhook twice",
    "drop": "never deliver the webhook",
    "hold": "keep the webhook back until `release`, then deliver what was held newest first",
    "stale": "sign the webhook with a time that is ten minutes old",
}


@dataclass(slots=True)
class Rule:
    """One fault: `match` has method, path (a prefix) or event (a type, or its beginning with a dot)."""

    effect: str
    match: dict[str, str] = field(default_factory=dict)
    times: int = 1
    status: int = 500
    applied: int = 0

    def fits(self, **occasion: str) -> bool:
        """Whether the rule is about this and has not been used up."""
        if self.applied >= self.times:
            return False
        return all(
            occasion.get(name, "").startswith(value)
            if name in ("path", "event")
            else occasion.get(name) == value
            for name, value in self.match.items()
        )


class Faults:
    """The rules in force, first match first."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, given: dict[str, Any]) -> Rule:
        """A rule from its JSON; ValueError where it makes no sense."""
        unknown = given.keys() - {"effect", "match", "times", "status"}
        if unknown or given.get("effect") not in _EFFECTS:
            known = "; ".join(f"{name}: {what}" for name, what in _EFFECTS.items())
            raise ValueError(f"A fault is {{effect, match, times, status}} with an effect of: {known}.")
        rule = Rule(**given)
        self.rules.append(rule)
        return rule

    def take(self, effects: tuple[str, ...], **occasion: str) -> Rule | None:
        """The first rule with one of these effects that fits, counted as used."""
        for rule in self.rules:
            if rule.effect in effects and rule.fits(**occasion):
                rule.applied += 1
                return rule
        return None
