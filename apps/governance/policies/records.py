"""Policies and bounds as other apps and pages hold them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from apps.governance.policies.rules import Rules


class PolicyMode(StrEnum):
    """What a version of a policy does."""

    ENFORCED = "enforced"
    SHADOW = "shadow"  # refuses nothing; what it would refuse is written down
    OFF = "off"  # the policy was taken away


# Whose policies a tenant can make.
SUBJECT_LEVELS = ("service_account", "member", "key")
LEVELS = ("tenant", *SUBJECT_LEVELS)


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One version of a policy."""

    id: UUID
    level: str
    subject_id: UUID | None
    number: int
    mode: PolicyMode
    rules: Rules
    note: str
    restored_from: int | None
    author_kind: str
    author_id: str
    author_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StandingPolicy:
    """How the policy of one subject stands: what is in force, and the newer version that only watches."""

    level: str
    subject_id: UUID | None
    newest: PolicyRecord
    enforced: PolicyRecord | None
    shadow: PolicyRecord | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the operator allows a tenant at most. `is_default` says that they are those of every tenant."""

    number: int
    rules: Rules
    is_default: bool
    reason: str
    author_name: str
    created_at: datetime
