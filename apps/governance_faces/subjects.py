"""Whose policies there are: their names, and that they exist."""

from collections.abc import Iterable
from uuid import UUID

from apps.ai_usage.insight.policy_trial import Whose
from apps.governance.errors import PolicyNotFound
from apps.governance.policies.records import LEVELS
from apps.identity import selectors as identity
from apps.keys import selectors as keys

LEVEL_WORDS = {
    "tenant": "Tenant",
    "service_account": "Service account",
    "member": "Member",
    "key": "Key",
}
_MOST_CHILDREN = 10_000


def name_of(level: str, subject_id: UUID | None) -> str:
    """What a subject is called; its own "not found" where it does not exist, PolicyNotFound for no such level."""
    if level not in LEVELS or (level == "tenant") != (subject_id is None):
        raise PolicyNotFound
    if subject_id is None:
        return "Whole tenant"
    if level == "service_account":
        return keys.service_account(subject_id).name
    if level == "member":
        return identity.member(subject_id).label
    return keys.key(subject_id).name


def names_of(subjects: Iterable[tuple[str, UUID | None]]) -> dict[UUID | None, str]:
    """What many subjects are called; those that are gone are left out."""
    listed = [(level, subject) for level, subject in subjects if subject is not None]
    owners = keys.owner_names(subject for level, subject in listed if level != "key")
    own_keys = keys.key_names(subject for level, subject in listed if level == "key")
    every: list[tuple[UUID | None, str]] = [(None, "Whole tenant"), *owners.items(), *own_keys.items()]
    return dict(every)


def whose(level: str, subject_id: UUID | None) -> Whose:
    """Whose calls a policy concerns."""
    children: frozenset[UUID] = frozenset()
    if level == "key" and subject_id is not None:
        children = frozenset(child.id for child in keys.keys(parent_id=subject_id, limit=_MOST_CHILDREN))
    return Whose(level, subject_id, children)
