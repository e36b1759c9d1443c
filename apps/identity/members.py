"""Everything that changes a member of the tenant in force."""

from uuid import UUID

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import is_password_usable
from django.db import transaction
from django.utils.module_loading import import_string

from apps.governance import services as governance
from apps.governance.errors import ScopeMissing
from apps.governance.types import Actor
from apps.identity import selectors
from apps.identity.credentials import clean_email, set_checked_password
from apps.identity.errors import (
    LastOwner,
    MemberExists,
    MemberLimitReached,
    MemberNotFound,
    RoleAboveOwn,
)
from apps.identity.models import Role, User
from apps.identity.roles import scopes_of
from apps.identity.types import Member
from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant


@transaction.atomic
def create_member(
    *, email: str, role: str, actor: Actor, password: str | None = None, name: str = ""
) -> Member:
    """Add a person to the tenant in force. Without a password they are invited and choose one by a link.

    Takes one of the plan's seats, and gives no role that can do more than the actor's own.
    """
    address = clean_email(email)
    wanted = Role(role)
    _check_may_give(actor, wanted)
    _lock()
    if User.objects.filter(email__iexact=address).exists():
        raise MemberExists(address)
    _check_seat()
    user = User(email=address, name=name.strip()[:120], role=wanted)
    if password is None:
        user.set_unusable_password()
    else:
        set_checked_password(user, password)
    user.save(force_insert=True)
    # A password given here came with an address that its giver vouches for; an invited person proves it by
    # the link.
    EmailAddress.objects.create(user=user, email=address, primary=True, verified=password is not None)
    _record(
        "member.created", actor, user, {"email": address, "role": wanted.value, "invited": password is None}
    )
    return selectors.describe(user)


@transaction.atomic
def change_role(*, member_id: UUID, role: str, actor: Actor) -> Member:
    """Give a member another role; what they may do changes with their next request, and so do their keys."""
    wanted = Role(role)
    _lock()
    user = _locked(member_id)
    before = Role(user.role)
    _check_may_give(actor, wanted)
    _check_may_give(actor, before)
    if wanted is before:
        return selectors.describe(user)
    if before is Role.OWNER:
        _check_another_owner(user)
    user.role = wanted
    user.save(update_fields=["role"])
    _record("member.role_changed", actor, user, {"before": before.value, "after": wanted.value})
    # A key may do no more than its owner, so whatever processes remember of this tenant's keys is out of
    # date.
    governance.announce_change()
    return selectors.describe(user)


@transaction.atomic
def deactivate_member(*, member_id: UUID, actor: Actor) -> Member:
    """Shut a person out: their sessions end now, their keys stop with the next request, their seat is free.

    The member that comes back is inactive, and that is the fact to act on: a key whose owner is inactive does
    not authenticate. Doing it twice changes nothing.
    """
    _lock()
    user = _locked(member_id)
    _check_may_give(actor, Role(user.role))
    if not user.is_active:
        return selectors.describe(user)
    if user.role == Role.OWNER:
        _check_another_owner(user)
    user.is_active = False
    _end_sessions(user)
    user.save(update_fields=["is_active", "session_epoch"])
    _record("member.disabled", actor, user)
    for path in settings.MEMBERSHIP_ENDS_WITH:
        import_string(path)(user.pk, actor=actor, reason="The membership ended.")
    governance.announce_change()
    return selectors.describe(user)


@transaction.atomic
def reactivate_member(*, member_id: UUID, actor: Actor) -> Member:
    """Let a person in again, if the plan has a seat. Their old password holds, their old sessions don't."""
    _lock()
    user = _locked(member_id)
    _check_may_give(actor, Role(user.role))
    if user.is_active:
        return selectors.describe(user)
    _check_seat()
    user.is_active = True
    user.save(update_fields=["is_active"])
    _record("member.enabled", actor, user)
    governance.announce_change()
    return selectors.describe(user)


@transaction.atomic
def rename_member(*, member_id: UUID, name: str, actor: Actor) -> Member:
    """Change how a person is called. People rename themselves; those who may change members rename others."""
    user = _locked(member_id)
    if actor.id != str(user.pk):
        _check_may_give(actor, Role(user.role))
    before, user.name = user.name, name.strip()[:120]
    if user.name != before:
        user.save(update_fields=["name"])
        _record("member.renamed", actor, user, {"before": before, "after": user.name})
    return selectors.describe(user)


@transaction.atomic
def set_password(*, member_id: UUID, password: str, actor: Actor) -> Member:
    """Set a member's password; every session of theirs ends. People change their own at the account page."""
    user = _locked(member_id)
    if actor.id != str(user.pk):
        _check_may_give(actor, Role(user.role))
    set_checked_password(user, password)
    _end_sessions(user)
    user.save(update_fields=["password", "session_epoch"])
    _record("member.password_set", actor, user)
    return selectors.describe(user)


@transaction.atomic
def end_session(*, member_id: UUID, session_id: UUID, actor: Actor) -> bool:
    """Sign a person out in one browser; whether there was such a session."""
    user = _user_of_whom_actor_decides(member_id, actor)
    ended = user.sessions.filter(id=session_id).delete()[0] > 0
    if ended:
        _record("session.ended", actor, user, {"session": str(session_id)})
    return ended


@transaction.atomic
def end_sessions(*, member_id: UUID, actor: Actor) -> None:
    """Sign a person out everywhere, at once: also where a process has the session in hand."""
    user = _user_of_whom_actor_decides(member_id, actor)
    _end_sessions(user)
    user.save(update_fields=["session_epoch"])
    _record("session.all_ended", actor, user)


def _user_of_whom_actor_decides(member_id: UUID, actor: Actor) -> User:
    user = _locked(member_id)
    if actor.id != str(user.pk):
        _check_may_give(actor, Role(user.role))
    return user


def _end_sessions(user: User) -> None:
    user.session_epoch += 1
    user.sessions.all().delete()


def _check_may_give(actor: Actor, role: Role) -> None:
    """May this actor change members, and is the role not above its own?"""
    if actor.is_platform:
        return
    if "members:write" not in actor.scopes:
        raise ScopeMissing("members:write")
    if not scopes_of(role) <= actor.scopes:
        raise RoleAboveOwn(role.label)


def _check_seat() -> None:
    room = governance.may("members", used=selectors.active_members(), adding=1)
    if not room.allowed:
        raise MemberLimitReached(int(room.value or 0))


def _check_another_owner(leaving: User) -> None:
    """Somebody else must be able to sign in as an owner; an invitation that nobody took up is not enough."""
    others = User.objects.filter(role=Role.OWNER, is_active=True).exclude(pk=leaving.pk)
    if not any(is_password_usable(other.password) for other in others):
        raise LastOwner


def _lock() -> None:
    # One at a time, so that two requests can neither take the last seat nor remove each other's last owner.
    tenancy.lock_tenant("members")


def _locked(member_id: UUID) -> User:
    current_tenant()  # members exist in tenants only; without one in force this is a bug, and says so
    user = User.objects.select_for_update().filter(pk=member_id).first()
    if user is None:
        raise MemberNotFound
    return user


def _record(action: str, actor: Actor, user: User, details: dict[str, object] | None = None) -> None:
    governance.record_audit(
        action,
        actor=actor,
        target_kind="member",
        target_id=user.pk,
        details={"email": user.email, "role": user.role, **(details or {})},
    )
