"""What other apps hold of keys: who is calling, what a key may do, and how keys are shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from apps.identity.types import SCOPES
from apps.keys.addresses import Network
from apps.tenancy.types import TenantRef

# Scope → what it lets a key do, in words. A key cannot make owners: that takes a person who is one.
KEY_SCOPES: dict[str, str] = {name: words for name, words in SCOPES.items() if name != "ownership:write"}


class Environment(StrEnum):
    """Live keys and test keys, and what was made with them, never mix."""

    LIVE = "live"
    TEST = "test"


class OwnerKind(StrEnum):
    """Whom a key acts for. The words are those of budgets and audit entries."""

    MEMBER = "member"
    SERVICE_ACCOUNT = "service_account"


# (is a child, is a service account's) → the plan's features that such a key lives by.
KEY_GATES: dict[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): (),
    (True, False): ("child_keys",),
    (False, True): ("service_accounts",),
    (True, True): ("child_keys", "service_accounts"),
}


class KeyState(StrEnum):
    """Where a key is in its life, the strongest reason first."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    DISABLED = "disabled"
    OWNER_INACTIVE = "owner_inactive"
    PARENT_INACTIVE = "parent_inactive"
    DEPRECATED = "deprecated"  # replaced, still accepted until it expires
    ACTIVE = "active"

    @property
    def is_usable(self) -> bool:
        """Whether a request with such a key is let in."""
        return self in (KeyState.ACTIVE, KeyState.DEPRECATED)


LIMIT_NAMES = ("requests_per_minute", "tokens_per_minute", "concurrent_calls")


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Limits of one key alone, inside those of the plan. None: only the plan's apply."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_calls: int | None = None
    # They refuse nothing; what they would have refused is counted.
    shadow_limits: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """A key that exists and is usable, with everything that decides what a request with it may do.

    Made from the database, kept in the gateway's snapshot, and checked against the presented secret on each
    request (`verify`). It holds no plaintext: the digest recognises the secret and cannot give it back.
    """

    tenant: TenantRef
    key_id: UUID  # the row; what calls, usage and budgets refer to
    key_public_id: str  # the keyid10 that people see in lists and logs
    name: str
    environment: Environment
    owner_kind: OwnerKind
    owner_id: UUID
    owner_name: str
    # What the key carries and its owner (and parent) still holds.
    scopes: frozenset[str]
    # Routes it may use; empty: those of the plan.
    models_allowed: frozenset[str]
    # Each non-empty tuple is a list of networks that the address must be in: the key's, its parent's, the
    # tenant's.
    networks: tuple[tuple[Network, ...], ...]
    limits: KeyLimits
    tags: Mapping[str, str]
    # The earlier of its own and its parent's.
    expires_at: datetime
    # A successor exists; responses say so (`notices`).
    deprecated: bool
    # A child's use also counts against the parent, whose limits would otherwise be had many times over.
    parent_id: UUID | None
    parent_limits: KeyLimits | None
    digest: bytes = field(repr=False)
    pepper_id: int = field(repr=False)

    @property
    def gates(self) -> tuple[str, ...]:
        """The features of the plan without which a key of this sort is of no use; asked on each use."""
        return KEY_GATES[self.parent_id is not None, self.owner_kind is OwnerKind.SERVICE_ACCOUNT]

    # Admission asks for limits by these names (governance.limits.Caller).
    @property
    def requests_per_minute(self) -> int | None:
        """The key's own request rate."""
        return self.limits.requests_per_minute

    @property
    def tokens_per_minute(self) -> int | None:
        """The key's own token rate."""
        return self.limits.tokens_per_minute

    @property
    def concurrent_calls(self) -> int | None:
        """How many calls with this key may run at once."""
        return self.limits.concurrent_calls

    @property
    def shadow_limits(self) -> bool:
        """Whether the key's own limits only count what they would have refused."""
        return self.limits.shadow_limits


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a key acts for, as shown."""

    kind: OwnerKind
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class KeyLink:
    """Another key that this one replaced, was replaced by, or is a part of, and its last use."""

    id: UUID
    name: str
    key_id: str
    state: KeyState
    expires_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key as lists and pages show it: never its secret."""

    id: UUID
    name: str
    key_id: str
    # The visible beginning of the secret, enough to tell keys apart.
    hint: str
    environment: Environment
    state: KeyState
    owner: Owner
    scopes: tuple[str, ...]
    models_allowed: tuple[str, ...]
    addresses_allowed: tuple[str, ...]
    tags: Mapping[str, str]
    limits: KeyLimits
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_reason: str
    disabled_reason: str
    last_used_at: datetime | None
    last_used_address: str
    last_used_agent: str
    parent_id: UUID | None
    replaced_by_id: UUID | None


@dataclass(frozen=True, slots=True)
class KeyDetail:
    """One key with the keys around it."""

    key: Key
    replaces: tuple[KeyLink, ...]  # the chain of rotations before it, newest first
    replaced_by: KeyLink | None
    parent: KeyLink | None
    children: tuple[KeyLink, ...]


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key just made, and the only copy of its secret."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A program that acts for the tenant and owns keys."""

    id: UUID
    name: str
    description: str
    is_active: bool
    disabled_at: datetime | None
    created_at: datetime
    usable_keys: int


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What a tenant asks of all its keys."""

    default_days: int = 90
    maximum_days: int = 365
    # Days without use after which the owner is warned and the key disabled; None: never.
    warn_unused_days: int | None = 60
    disable_unused_days: int | None = 90
    revoke_on_leak: bool = True
    # Networks outside which none of the tenant's keys is accepted; empty: everywhere.
    addresses_allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyUse:
    """That a key was used: the latest of possibly many requests since the last report."""

    key_id: UUID
    at: datetime
    address: str = ""
    agent: str = ""
