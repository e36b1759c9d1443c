"""What of one policy is looser than another that stands above it: said when it is saved, powerless in any case."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from apps.governance.policies.hours import stays_within
from apps.governance.policies.names import Names, is_covered, not_covered
from apps.governance.policies.rules import Rule, Rules, describe_rules


@dataclass(frozen=True, slots=True)
class Looser:
    """One rule that would allow what the policy above does not."""

    rule: Rule
    bound: str  # what the policy above asks, as a phrase
    why: str


def looser_rules(rules: Rules, above: Rules, today: date) -> list[Looser]:
    """The rules that say more is allowed than above. A rule that is left out follows what is above."""
    asked = describe_rules(above)
    return [Looser(rule, asked[rule], why) for rule, why in _differences(rules, above, today)]


def _differences(rules: Rules, above: Rules, today: date) -> Iterator[tuple[Rule, str]]:
    for rule, names, bound in (
        (Rule.MODELS, rules.models, above.models),
        (Rule.PROVIDERS, rules.providers, above.providers),
        (Rule.REGIONS, rules.regions, above.regions),
        (Rule.TOOLS, rules.tools, above.tools),
    ):
        if names is not None and bound is not None and (wider := _wider(names, bound)):
            yield rule, f"{', '.join(wider)} would be allowed"
    most, bound_most = rules.max_output_tokens, above.max_output_tokens
    if most is not None and bound_most is not None and most > bound_most:
        yield Rule.MAX_OUTPUT, f"{most} tokens would be allowed"
    kept, bound_kept = rules.max_retention_days, above.max_retention_days
    if kept is not None and bound_kept is not None and kept > bound_kept:
        yield Rule.DATA_HANDLING, f"data could be kept {kept} days"
    if (
        rules.hours is not None
        and above.hours is not None
        and not stays_within(rules.hours, above.hours, today)
    ):
        yield Rule.HOURS, f"{rules.hours} would be allowed"


def _wider(names: Names, bound: Names) -> list[str]:
    if names.allow is None:
        return []
    wider = [] if bound.allow is None else not_covered(names.allow, bound.allow)
    return wider + [each for each in names.allow if each not in wider and is_covered(each, bound.deny)]
