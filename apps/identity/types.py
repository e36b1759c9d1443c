"""What other apps and templates hold of people."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from apps.identity.roles import SCOPES as SCOPES
from apps.identity.roles import Role as Role
from apps.identity.roles import scopes_of as scopes_of

if TYPE_CHECKING:
    from django.http import HttpRequest

    from apps.governance.types import Actor
    from apps.tenancy.types import TenantRef


@dataclass(frozen=True, slots=True)
class Member:
    """A person inside the tenant in force."""

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    # False until an invited person has chosen a password.
    has_password: bool
    created_at: datetime
    last_login: datetime | None

    @property
    def scopes(self) -> frozenset[str]:
        """What the member's role lets it do."""
        return scopes_of(self.role)

    @property
    def state(self) -> str:
        """active, invited or disabled."""
        if not self.is_active:
            return "disabled"
        return "active" if self.has_password else "invited"

    @property
    def label(self) -> str:
        """How the member is called where there is room for one thing."""
        return self.name or self.email

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invited person and the link that lets them in: a secret, shown to the inviter once."""

    member: Member
    link: str = field(repr=False)
    mailed: bool  # False: mail could not be sent, so the inviter passes the link on


@dataclass(frozen=True, slots=True)
class SignedInSession:
    """One browser in which a member is signed in."""

    id: UUID
    address: str
    agent: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


if TYPE_CHECKING:

    class PortalRequest(HttpRequest):
        """A request that `portal_view` let through: host, person and their rights are known."""

        tenant: TenantRef
        member: Member
        actor: Actor
        request_id: str
        address: str
