"""What other apps may hold of a tenant."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class TenantState(StrEnum):
    """Where a tenant is in its life. Only `ready` is served; `suspended` may sign in and read."""

    PROVISIONING = "provisioning"
    READY = "ready"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class TenantRef:
    """A tenant as every layer passes it around: who it is and where its data lives."""

    id: UUID
    ref: str  # eight characters [a-z0-9]; the tenant fragment of its API keys
    slug: str
    name: str
    schema: str
    state: TenantState

    @property
    def is_served(self) -> bool:
        """Whether its portal answers at all."""
        return self.state in (TenantState.READY, TenantState.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where SQL runs: one tenant's schema, or the public schema by explicit choice."""

    schema: str
    tenant: TenantRef | None = None
    # Whether unqualified names may also mean shared tables. Off only while a schema's own migration
    # table is made, which would otherwise be found in `public`.
    sees_public: bool = True
