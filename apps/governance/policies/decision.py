"""The decision: policies compiled for one key, and what they say to one request. No I/O, no clock of its own.

Policies stand one above the other, and each can only take away: targets from those that are left, tokens from the
most that is left, or the whole call. So nothing that a lower one says can give back what a higher one took.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from apps.governance.policies.hours import HoursTest
from apps.governance.policies.names import Names, NameTest
from apps.governance.policies.rules import Rule, Rules, handling_text


class PolicyLevel(StrEnum):
    """Whose policy it is, the highest first."""

    OPERATOR = "operator"
    TENANT = "tenant"
    SERVICE_ACCOUNT = "service_account"
    MEMBER = "member"
    PARENT_KEY = "parent_key"
    KEY = "key"


WHOSE = {
    PolicyLevel.OPERATOR: "the operator's bounds",
    PolicyLevel.TENANT: "the policy of this tenant",
    PolicyLevel.SERVICE_ACCOUNT: "the policy of the key's service account",
    PolicyLevel.MEMBER: "the policy of the key's owner",
    PolicyLevel.PARENT_KEY: "the policy of the parent key",
    PolicyLevel.KEY: "the policy of this key",
}


class TargetFacts(Protocol):
    """What policies look at of a provider's model that a call may go to."""

    @property
    def provider(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def retention_days(self) -> int | None: ...
    @property
    def trains_on_data(self) -> bool | None: ...


Target = TypeVar("Target", bound=TargetFacts)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a request brings: the names it goes by, and for a provider's own tool its types.

    A function is allowed by its name, a provider's tool by its type alone: what it is called is the caller's word.
    """

    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What it is called in a sentence and in the record of a call."""
        return (self.kinds or self.names or ("(unnamed)",))[-1]


@dataclass(slots=True)
class Facts:
    """What policies look at of a request. `asked_output` is the limit on one answer that the caller named."""

    model: str
    at: datetime
    has_output: bool = True
    asked_output: int | None = None
    tools: Sequence[Tool] = ()
    prompt_ref: str | None = None


@dataclass(slots=True)
class _State:
    targets: Sequence[Any]  # TargetFacts of whatever kind came in
    output_cap: int | None = None


# Answers why the rule refuses, or None; may take targets and tokens from the state.
Check = Callable[[Facts, _State], str | None]


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one policy, compiled: only the rules that ask something are there."""

    level: PolicyLevel
    version: int
    is_shadow: bool
    checks: tuple[tuple[Rule, Check], ...]

    @property
    def name(self) -> str:
        """How it is named to people: whose it is, and which version."""
        return f"{WHOSE[self.level]} (version {self.version})"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule of one policy said to a request; `said` is empty where it passed."""

    policy: Policy
    rule: Rule
    said: str = ""

    @property
    def message(self) -> str:
        """Who refuses, and why, in a sentence."""
        name = self.policy.name
        return f"{name[0].upper()}{name[1:]} refuses this by its rule {self.rule.value}: {self.said}."


@dataclass(slots=True)
class Judged(Generic[Target]):
    """What the policies leave of a request: where it may go and how much an answer may have, or why it may not."""

    targets: Sequence[Target]
    output_cap: int | None = None
    refusal: Finding | None = None
    # What shadow policies would have refused of a request that is let through.
    shadowed: list[Finding] = field(default_factory=list)


class PolicySet:
    """Every policy that applies to one key's calls, the highest first. Make it once and keep it."""

    __slots__ = ("enforced", "reads_tools", "shadow")

    def __init__(self, policies: Sequence[Policy]) -> None:
        ordered = sorted(policies, key=lambda policy: _ORDER[policy.level])
        self.enforced = tuple(policy for policy in ordered if not policy.is_shadow)
        self.shadow = tuple(policy for policy in ordered if policy.is_shadow)
        self.reads_tools = any(rule is Rule.TOOLS for policy in ordered for rule, _ in policy.checks)

    def judge(
        self, facts: Facts, targets: Sequence[Target], steps: list[Finding] | None = None
    ) -> Judged[Target]:
        """Put a request to every policy. With `steps` each rule is looked at and noted, refused or not."""
        state = _State(targets)
        refusal = None
        for policy in self.enforced:
            found = _put_to(policy, facts, state, steps)
            refusal = refusal or found
            if refusal is not None and steps is None:
                break
        judged = Judged(state.targets, state.output_cap, refusal)
        if self.shadow and (refusal is None or steps is not None):
            for policy in self.shadow:
                found = _put_to(policy, facts, _State(state.targets), steps)
                if found is not None and refusal is None:
                    judged.shadowed.append(found)
        return judged

    def refuses_model(self, model: str, targets: Sequence[TargetFacts], at: datetime) -> Finding | None:
        """Why a model cannot be used whatever is asked of it; None where some request for it is let through."""
        facts, state = Facts(model, at), _State(targets)
        for policy in self.enforced:
            for rule, check in policy.checks:
                if rule in _OF_MODELS and (said := check(facts, state)) is not None:
                    return Finding(policy, rule, said)
        return None


_ORDER = {level: place for place, level in enumerate(PolicyLevel)}
_OF_MODELS = frozenset({Rule.MODELS, Rule.PROVIDERS, Rule.REGIONS, Rule.DATA_HANDLING})


def compile_policy(level: PolicyLevel, version: int, rules: Rules, *, is_shadow: bool = False) -> Policy:
    """A policy as it is asked for each call."""
    checks: dict[Rule, Check | None] = {
        Rule.HOURS: _hours(HoursTest(rules.hours)) if rules.hours else None,
        Rule.MODELS: _model(NameTest(rules.models)) if rules.models else None,
        Rule.PROMPTS: _prompt if rules.approved_prompts_only else None,
        Rule.TOOLS: _tools(rules.tools) if rules.tools else None,
        Rule.MAX_OUTPUT: _output(rules.max_output_tokens) if rules.max_output_tokens else None,
        Rule.PROVIDERS: _providers(NameTest(rules.providers)) if rules.providers else None,
        Rule.REGIONS: _regions(NameTest(rules.regions)) if rules.regions else None,
        Rule.DATA_HANDLING: _handling(rules) if handling_text(rules) else None,
    }
    return Policy(
        level, version, is_shadow, tuple((rule, check) for rule, check in checks.items() if check is not None)
    )


def _put_to(policy: Policy, facts: Facts, state: _State, steps: list[Finding] | None) -> Finding | None:
    refusal = None
    for rule, check in policy.checks:
        said = check(facts, state)
        if steps is not None:
            steps.append(Finding(policy, rule, said or ""))
        if said is not None and refusal is None:
            refusal = Finding(policy, rule, said)
            if steps is None:
                return refusal
    return refusal


def _hours(test: HoursTest) -> Check:
    def check(facts: Facts, state: _State) -> str | None:
        return None if test.is_open(facts.at) else f"calls are let through only {test.text}"

    return check


def _model(test: NameTest) -> Check:
    def check(facts: Facts, state: _State) -> str | None:
        return None if test.allows(facts.model) else f"the model {facts.model} is not allowed"

    return check


def _prompt(facts: Facts, state: _State) -> str | None:
    return None if facts.prompt_ref else "only approved prompts may be used, and this request names none"


def _tools(names: Names) -> Check:
    test = NameTest(names)

    def check(facts: Facts, state: _State) -> str | None:
        for tool in facts.tools:
            goes_by = tool.kinds or tool.names
            if not goes_by:
                return "a tool has no name by which it could be allowed"
            if any(map(test.denies, tool.names + tool.kinds)) or not any(map(test.lists, goes_by)):
                return f"the tool {tool.label} is not allowed"
        return None

    return check


def _output(most: int) -> Check:
    def check(facts: Facts, state: _State) -> str | None:
        if not facts.has_output:
            return None
        if facts.asked_output is not None:
            if facts.asked_output <= most:
                return None
            return f"{facts.asked_output} output tokens are asked for, and an answer may have {most}"
        if state.output_cap is None or most < state.output_cap:
            state.output_cap = most
        return None

    return check


def _providers(test: NameTest) -> Check:
    return _of_targets(
        lambda target: test.allows(target.provider),
        lambda target: target.provider,
        "none of the model's providers is allowed",
    )


def _regions(test: NameTest) -> Check:
    return _of_targets(
        lambda target: bool(target.region) and test.allows(target.region),
        lambda target: f"{target.provider}: {target.region or 'not known'}",
        "no provider of the model is in an allowed region",
    )


def _handling(rules: Rules) -> Check:
    most, no_training = rules.max_retention_days, rules.no_training

    def is_allowed(target: TargetFacts) -> bool:
        # What is not known is not permitted.
        if most is not None and (target.retention_days is None or target.retention_days > most):
            return False
        return not no_training or target.trains_on_data is False

    return _of_targets(
        is_allowed, _handling_of, f"no provider of the model handles data as asked ({handling_text(rules)})"
    )


def _handling_of(target: TargetFacts) -> str:
    kept = (
        "keeps it for a time not known"
        if target.retention_days is None
        else (f"keeps it {target.retention_days} days")
    )
    trains = {None: "training not known", True: "trains on it", False: "does not train on it"}
    return f"{target.provider}: {kept}, {trains[target.trains_on_data]}"


def _of_targets(
    is_allowed: Callable[[TargetFacts], bool], describe: Callable[[TargetFacts], str], why: str
) -> Check:
    def check(facts: Facts, state: _State) -> str | None:
        left = [target for target in state.targets if is_allowed(target)]
        if not left and state.targets:
            return f"{why} ({'; '.join(dict.fromkeys(map(describe, state.targets)))})"
        if len(left) != len(state.targets):
            state.targets = left
        return None

    return check
