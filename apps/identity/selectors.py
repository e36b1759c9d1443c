"""Reading people and their sessions, in the tenant in force."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.contrib.auth.hashers import is_password_usable
from django.utils import timezone

from apps.identity.errors import MemberNotFound
from apps.identity.models import Role, Session, User
from apps.identity.sessions import stored_key
from apps.identity.types import Member, SignedInSession


def members() -> list[Member]:
    """Everybody of the tenant in force, disabled people too, by e-mail."""
    return [describe(user) for user in User.objects.order_by("email")]


def member(member_id: UUID) -> Member:
    """One member of the tenant in force; MemberNotFound for anybody else's id."""
    return describe(_user(member_id))


def member_by_email(email: str) -> Member | None:
    """The member with this address, in whatever case it is written."""
    found = User.objects.filter(email__iexact=email.strip()).first()
    return describe(found) if found else None


def member_names(ids: Iterable[UUID]) -> dict[UUID, str]:
    """What members are called, by id, for lists that store ids; ids of nobody are left out."""
    rows = User.objects.filter(pk__in=set(ids)).values_list("pk", "name", "email")
    return {member_id: name or email for member_id, name, email in rows}


def active_members() -> int:
    """How many of the plan's seats are taken; an invitation takes one."""
    return User.objects.filter(is_active=True).count()


def sessions_of(
    member_id: UUID, *, current_key: str | None = None, at: datetime | None = None
) -> list[SignedInSession]:
    """Where a member is signed in, latest use first."""
    rows = Session.objects.filter(user_id=member_id, expire_date__gt=at or timezone.now())
    current = stored_key(current_key) if current_key else ""
    return [
        SignedInSession(
            id=row.id,
            address=row.address,
            agent=row.agent,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            is_current=row.session_key == current,
        )
        for row in rows
    ]


def describe(user: User) -> Member:
    """The value that leaves this app for a row of the user table."""
    return Member(
        id=user.pk,
        email=user.email,
        name=user.name,
        role=Role(user.role),
        is_active=user.is_active,
        has_password=is_password_usable(user.password),
        created_at=user.created_at,
        last_login=user.last_login,
    )


def _user(member_id: UUID) -> User:
    found = User.objects.filter(pk=member_id).first()
    if found is None:
        raise MemberNotFound
    return found
