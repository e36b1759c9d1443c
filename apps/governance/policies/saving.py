"""Everything that changes a policy or the operator's bounds: each change is a new version."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.governance.announcing import announce_change
from apps.governance.audit import record_audit, record_operator_audit
from apps.governance.errors import (
    PolicyChangedMeanwhile,
    PolicyLooserThanBound,
    PolicyNotFound,
    ScopeMissing,
)
from apps.governance.models import PolicyBound, PolicyDefaultBound, PolicyVersion
from apps.governance.policies import reading
from apps.governance.policies.bounds import looser_rules
from apps.governance.policies.records import Bounds, PolicyMode, PolicyRecord
from apps.governance.policies.rules import Rules
from apps.governance.types import Actor
from apps.tenancy import selectors as tenants
from apps.tenancy import services as tenancy

WRITE = "settings:write"


@transaction.atomic
def save_policy(
    level: str,
    subject_id: UUID | None,
    rules: Rules,
    *,
    actor: Actor,
    mode: PolicyMode = PolicyMode.ENFORCED,
    note: str = "",
    based_on: int | None = None,
    restored_from: int | None = None,
) -> PolicyRecord:
    """Make these rules the subject's policy from the next request on, or let them watch as a shadow.

    `based_on` is the newest version that the author saw (0: none); another one meanwhile refuses. Rules that would
    allow more than what stands above refuse too, since they could never do what they say.
    """
    if not actor.is_platform and WRITE not in actor.scopes:
        raise ScopeMissing(WRITE)
    tenancy.lock_tenant("policies")
    before = reading.standing_policy(level, subject_id)
    newest = before.newest.number if before else 0
    if based_on is not None and based_on != newest:
        raise PolicyChangedMeanwhile(newest)
    if mode is not PolicyMode.OFF and (looser := looser_than_above(level, rules)):
        raise PolicyLooserThanBound(looser)
    row = PolicyVersion.objects.create(
        level=level,
        subject_id=subject_id,
        number=newest + 1,
        mode=mode.value,
        rules=rules.to_json(),
        note=note,
        restored_from=restored_from,
        author_kind=actor.kind.value,
        author_id=actor.id,
        author_name=actor.name[:200],
    )
    was = before.enforced if before else None
    record_audit(
        "policy.saved",
        actor=actor,
        target_kind="policy",
        target_id=subject_id or level,
        details={
            "level": level,
            "version": row.number,
            "mode": mode.value,
            "note": note,
            "before": was.rules.to_json() if was else None,
            "after": row.rules,
        }
        | ({"restored_from": restored_from} if restored_from else {}),
    )
    announce_change()
    return reading.record(row)


def remove_policy(
    level: str, subject_id: UUID | None, *, actor: Actor, note: str = "", based_on: int | None = None
) -> PolicyRecord:
    """Take a policy away, its shadow too, with a version that says so; PolicyNotFound where none stands."""
    standing = reading.standing_policy(level, subject_id)
    if standing is None or standing.newest.mode is PolicyMode.OFF:
        raise PolicyNotFound
    return save_policy(
        level, subject_id, Rules(), actor=actor, mode=PolicyMode.OFF, note=note, based_on=based_on
    )


def restore_policy(
    level: str,
    subject_id: UUID | None,
    number: int,
    *,
    actor: Actor,
    mode: PolicyMode = PolicyMode.ENFORCED,
    note: str = "",
    based_on: int | None = None,
) -> PolicyRecord:
    """Roll back: a new version with the rules of an old one, checked against what stands above now."""
    old = reading.policy_version(level, subject_id, number)
    return save_policy(
        level,
        subject_id,
        old.rules,
        actor=actor,
        mode=PolicyMode.OFF if old.mode is PolicyMode.OFF else mode,
        note=note,
        based_on=based_on,
        restored_from=number,
    )


def carry_policy(old_key: UUID, new_key: UUID, *, actor: Actor) -> None:
    """Let a key that takes another's place stand under the same policy. In the transaction of the rotation."""
    standing = reading.standing_policy("key", old_key)
    carried = [standing.enforced, standing.shadow] if standing else []
    for number, version in enumerate([each for each in carried if each is not None], start=1):
        row = PolicyVersion.objects.create(
            level="key",
            subject_id=new_key,
            number=number,
            mode=version.mode.value,
            rules=version.rules.to_json(),
            note=f"Carried over from version {version.number} of the key that this one replaces.",
            author_kind=actor.kind.value,
            author_id=actor.id,
            author_name=actor.name[:200],
        )
        record_audit(
            "policy.saved",
            actor=actor,
            target_kind="policy",
            target_id=new_key,
            details={"level": "key", "version": number, "mode": row.mode, "before": None, "after": row.rules},
        )


def looser_than_above(level: str, rules: Rules) -> list[tuple[str, str]]:
    """Each rule that would allow more than the operator's bounds or, below it, the tenant's policy; in words."""
    today, told = timezone.now().date(), []
    for whose, above in _above(level):
        for looser in looser_rules(rules, above, today):
            told.append((looser.rule.value, f"{looser.why}, but {whose} ask: {looser.bound}"))
    return told


def _above(level: str) -> Iterator[tuple[str, Rules]]:
    bound = reading.policy_bounds()
    if bound is not None:
        yield f"the operator's bounds (version {bound.number})", bound.rules
    if level != "tenant":
        standing = reading.standing_policy("tenant")
        if standing is not None and standing.enforced is not None:
            yield (
                f"the rules of the tenant's policy (version {standing.enforced.number})",
                standing.enforced.rules,
            )


@transaction.atomic
def set_bounds(rules: Rules | None, *, reason: str, actor: Actor) -> Bounds | None:
    """Set the bounds of the tenant in force, or take them away (None: those of every tenant hold). Control plane."""
    tenancy.lock_tenant("policies")
    before = reading.own_policy_bounds()
    _add_bound(PolicyBound, rules, reason, actor)
    record_audit(
        "policy_bounds.set",
        actor=actor,
        target_kind="policy_bounds",
        target_id="tenant",
        details=_bound_details(before, rules, reason),
    )
    announce_change()
    return reading.policy_bounds()


@transaction.atomic
def set_default_bounds(rules: Rules | None, *, reason: str, actor: Actor) -> Bounds | None:
    """Set the bounds of every tenant that has none of its own, or take them away. Control plane, public scope."""
    tenancy.lock_tenant("policy bounds")
    before = reading.default_policy_bounds()
    _add_bound(PolicyDefaultBound, rules, reason, actor)
    record_operator_audit(
        "policy_bounds.default_set",
        actor=actor,
        target_kind="policy_bounds",
        target_id="default",
        details=_bound_details(before, rules, reason),
    )
    for tenant in tenants.all_tenants():
        announce_change(tenant)
    return reading.default_policy_bounds()


def _add_bound(
    kind: type[PolicyBound] | type[PolicyDefaultBound], rules: Rules | None, reason: str, actor: Actor
) -> None:
    newest = kind.objects.first()
    kind.objects.create(
        number=newest.number + 1 if newest else 1,
        rules=rules.to_json() if rules is not None else {},
        is_removed=rules is None,
        reason=reason,
        author_id=actor.id,
        author_name=actor.name[:200],
    )


def _bound_details(before: Bounds | None, rules: Rules | None, reason: str) -> dict[str, Any]:
    return {
        "reason": reason,
        "before": before.rules.to_json() if before else None,
        "after": rules.to_json() if rules is not None else None,
    }
