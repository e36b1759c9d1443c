"""Reading policies and bounds of the tenant in force."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.governance.errors import PolicyNotFound
from apps.governance.models import PolicyBound, PolicyDefaultBound, PolicyVersion
from apps.governance.models.policies import BoundVersion
from apps.governance.policies.decision import Policy, PolicyLevel, compile_policy
from apps.governance.policies.records import Bounds, PolicyMode, PolicyRecord, StandingPolicy
from apps.governance.policies.rules import Rules, read_rules


def policy_bounds() -> Bounds | None:
    """The operator's bounds on the tenant in force: its own, or those of every tenant; None where there are none."""
    return own_policy_bounds() or default_policy_bounds()


def own_policy_bounds() -> Bounds | None:
    """The bounds set for the tenant in force alone."""
    return _in_force(PolicyBound.objects.first(), is_default=False)


def default_policy_bounds() -> Bounds | None:
    """The bounds of every tenant that has none of its own."""
    return _in_force(PolicyDefaultBound.objects.first(), is_default=True)


def policies_of_tenant() -> tuple[tuple[Policy, ...], bool]:
    """What holds for all the tenant's calls, compiled; and whether there are policies of single keys or owners."""
    bound, found = policy_bounds(), []
    if bound is not None:
        found.append(compile_policy(PolicyLevel.OPERATOR, bound.number, bound.rules))
    found += _compiled(standing_policies(Q(level="tenant")), {None: PolicyLevel.TENANT})
    return tuple(found), PolicyVersion.objects.exclude(level="tenant").exists()


def policies_of_key(
    *, owner_kind: str, owner_id: UUID, key_id: UUID, parent_id: UUID | None
) -> tuple[Policy, ...]:
    """What holds for the calls of one key beside what holds for all, compiled."""
    whose: dict[UUID | None, PolicyLevel] = {owner_id: PolicyLevel(owner_kind), key_id: PolicyLevel.KEY}
    concerned = Q(level=owner_kind, subject_id=owner_id) | Q(level="key", subject_id=key_id)
    if parent_id is not None:
        whose[parent_id] = PolicyLevel.PARENT_KEY
        concerned |= Q(level="key", subject_id=parent_id)
    return tuple(_compiled(standing_policies(concerned), whose))


def standing_policies(only: Q | None = None) -> list[StandingPolicy]:
    """How each subject's policy stands now, the latest changed first; those that were taken away included."""
    rows = PolicyVersion.objects.filter(only) if only is not None else PolicyVersion.objects.all()
    newest = _latest(rows)
    by_subject = {(row.level, row.subject_id): row for row in _latest(rows.exclude(mode="shadow"))}
    found = []
    for row in sorted(newest, key=lambda each: each.id, reverse=True):
        lasting = by_subject.get((row.level, row.subject_id))
        found.append(
            StandingPolicy(
                row.level,
                row.subject_id,
                record(row),
                record(lasting) if lasting is not None and lasting.mode == "enforced" else None,
                record(row) if row.mode == "shadow" else None,
            )
        )
    return found


def standing_policy(level: str, subject_id: UUID | None = None) -> StandingPolicy | None:
    """How one subject's policy stands; None where it never had one."""
    found = standing_policies(_of(level, subject_id))
    return found[0] if found else None


def policy_versions(
    level: str, subject_id: UUID | None = None, *, before: int | None = None, limit: int = 50
) -> list[PolicyRecord]:
    """Every version of one subject's policy, newest first, before a number."""
    rows = PolicyVersion.objects.filter(_of(level, subject_id)).order_by("-number")
    if before is not None:
        rows = rows.filter(number__lt=before)
    return [record(row) for row in rows[:limit]]


def policy_version(level: str, subject_id: UUID | None, number: int) -> PolicyRecord:
    """One version; PolicyNotFound otherwise."""
    row = PolicyVersion.objects.filter(_of(level, subject_id), number=number).first()
    if row is None:
        raise PolicyNotFound
    return record(row)


def record(row: PolicyVersion) -> PolicyRecord:
    """A row as others hold it."""
    return PolicyRecord(
        id=row.id,
        level=row.level,
        subject_id=row.subject_id,
        number=row.number,
        mode=PolicyMode(row.mode),
        rules=read_rules(row.rules),
        note=row.note,
        restored_from=row.restored_from,
        author_kind=row.author_kind,
        author_id=row.author_id,
        author_name=row.author_name,
        created_at=row.created_at,
    )


def _of(level: str, subject_id: UUID | None) -> Q:
    return Q(level=level, subject_id=subject_id) if subject_id else Q(level=level, subject_id__isnull=True)


def _latest(rows: QuerySet[PolicyVersion]) -> list[PolicyVersion]:
    return list(rows.order_by("level", "subject_id", "-number").distinct("level", "subject_id"))


def _in_force(row: BoundVersion | None, *, is_default: bool) -> Bounds | None:
    if row is None or row.is_removed:
        return None
    return Bounds(row.number, read_rules(row.rules), is_default, row.reason, row.author_name, row.created_at)


def _compiled(standing: Iterable[StandingPolicy], whose: dict[UUID | None, PolicyLevel]) -> list[Policy]:
    found = []
    for each in standing:
        for version in (each.enforced, each.shadow):
            if version is not None and version.rules != Rules():
                found.append(
                    compile_policy(
                        whose[each.subject_id],
                        version.number,
                        version.rules,
                        is_shadow=version.mode is PolicyMode.SHADOW,
                    )
                )
    return found
