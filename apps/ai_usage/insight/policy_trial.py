"""Trying a policy on calls that were made, before it is saved: what of them it would have refused."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from apps.ai_usage.explanation import WISHES
from apps.ai_usage.insight.types import Outcome
from apps.ai_usage.models import Call, Provider, RouteTarget
from apps.ai_usage.normalise import Endpoint
from apps.governance.policies.decision import (
    Facts,
    Finding,
    Judged,
    PolicyLevel,
    PolicySet,
    Tool,
    compile_policy,
)
from apps.governance.policies.rules import Rule, Rules

MOST_CALLS: Final = 10_000
_MOST_EXAMPLES = 20
# What these rules look at is only known of calls whose wishes were kept.
_OF_WISHES = frozenset({Rule.TOOLS, Rule.PROMPTS, Rule.MAX_OUTPUT})
_OF_TARGETS = frozenset({Rule.PROVIDERS, Rule.REGIONS, Rule.DATA_HANDLING})


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose calls a policy concerns: a subject's, with the keys that are parts of it; nobody's id is everybody."""

    level: str
    subject_id: UUID | None = None
    child_keys: frozenset[UUID] = frozenset()

    def concerns(self, key_id: UUID | None, owner_id: UUID | None) -> bool:
        """Whether a call of this key and owner is one of them."""
        if self.subject_id is None:
            return True
        if self.level == "key":
            return key_id == self.subject_id or key_id in self.child_keys
        return owner_id == self.subject_id


@dataclass(frozen=True, slots=True)
class TrialExample:
    """A call that the policy would have refused, and the first rule that would have."""

    call_id: UUID
    at: datetime
    model: str
    rule: str
    said: str


@dataclass(slots=True)
class Trial:
    """What came of it. `refused_by` counts calls by rule, so one call may be in several."""

    looked_at: int = 0
    concerned: int = 0
    already_refused: int = 0
    would_refuse: int = 0
    would_be_cut: int = (
        0  # their answers had more tokens than would be let through, and nothing was asked for
    )
    would_move: int = 0  # they were answered by a provider that would be left out
    refused_by: Counter[str] = field(default_factory=Counter)
    # Calls of which a rule could not be judged, since the record does not hold what it looks at.
    not_judged: Counter[str] = field(default_factory=Counter)
    examples: list[TrialExample] = field(default_factory=list)


@dataclass(slots=True)
class ShadowCount:
    """What one version in shadow would have refused since it was saved, of the calls looked at."""

    looked_at: int = 0
    would_refuse: int = 0
    refused_by: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Place:
    provider: str
    region: str
    retention_days: int | None
    trains_on_data: bool | None


def try_policy(rules: Rules, whose: Whose, *, calls: int = 1000) -> Trial:
    """Put the newest calls of the tenant in force to these rules, as the catalogue is now."""
    policies = PolicySet([compile_policy(PolicyLevel(whose.level), 0, rules)])
    routes, providers = _routes()
    trial = Trial()
    for row in _newest(calls):
        trial.looked_at += 1
        if not whose.concerns(row["key_id"], row["owner_id"]):
            continue
        trial.concerned += 1
        if row["outcome"] == Outcome.REFUSED:
            trial.already_refused += 1
            continue
        _try_on(row, policies, routes.get(row["model"]) or providers.get(row["provider"], []), trial)
    return trial


def count_shadow_refusals(
    whose: Whose, version: int, since: datetime, *, calls: int = MOST_CALLS
) -> ShadowCount:
    """Count what a version in shadow noted on the newest calls of the tenant in force."""
    levels = {"key": ("key", "parent_key")}.get(whose.level, (whose.level,))
    count = ShadowCount()
    for row in _newest(calls):
        if row["started_at"] < since:
            break
        if not whose.concerns(row["key_id"], row["owner_id"]):
            continue
        count.looked_at += 1
        noted = {
            rule
            for level, number, rule, _ in row["explanation"].get("shadow", ())
            if level in levels and number == version
        }
        if noted:
            count.would_refuse += 1
            count.refused_by.update(noted)
    return count


def _try_on(row: Mapping[str, Any], policies: PolicySet, places: list[_Place], trial: Trial) -> None:
    wishes = row["explanation"].get(WISHES)
    known = wishes or {}
    facts = Facts(
        model=row["model"],
        at=row["started_at"],
        has_output=row["endpoint"] != Endpoint.EMBEDDINGS,
        asked_output=known.get("output"),
        tools=[Tool((label,)) for label in known.get("tools", ())],
        prompt_ref=known.get("prompt"),
    )
    steps: list[Finding] = []
    judged: Judged[_Place] = policies.judge(facts, places, steps)
    refusing = []
    for step in steps:
        if (wishes is None and step.rule in _OF_WISHES) or (not places and step.rule in _OF_TARGETS):
            trial.not_judged[step.rule.value] += 1
        elif step.said:
            refusing.append(step)
    if refusing:
        trial.would_refuse += 1
        trial.refused_by.update(step.rule.value for step in refusing)
        if len(trial.examples) < _MOST_EXAMPLES:
            first = refusing[0]
            trial.examples.append(
                TrialExample(row["id"], row["started_at"], row["model"], first.rule.value, first.said)
            )
        return
    if judged.output_cap is not None and row["output_tokens"] > judged.output_cap:
        trial.would_be_cut += 1
    if row["provider"] and places and row["provider"] not in {place.provider for place in judged.targets}:
        trial.would_move += 1


def _newest(calls: int) -> Iterator[Mapping[str, Any]]:
    rows = Call.objects.order_by("-started_at", "-id").values(
        "id",
        "started_at",
        "key_id",
        "owner_id",
        "endpoint",
        "model",
        "outcome",
        "provider",
        "output_tokens",
        "explanation",
    )
    yield from rows[: min(calls, MOST_CALLS)].iterator(chunk_size=2000)


def _routes() -> tuple[dict[str, list[_Place]], dict[str, list[_Place]]]:
    providers = {row.name: [_place(row)] for row in Provider.objects.all()}
    routes: dict[str, list[_Place]] = {}
    targets = RouteTarget.objects.filter(route__enabled=True, provider__enabled=True)
    for target in targets.select_related("route", "provider"):
        routes.setdefault(target.route.model, []).append(_place(target.provider))
    return routes, providers


def _place(row: Provider) -> _Place:
    return _Place(row.name, row.region, row.retention_days, row.trains_on_data)
