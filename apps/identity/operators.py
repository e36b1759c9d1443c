"""Everything that changes an operator. Works in the public scope under the control plane's role only."""

import secrets
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity.credentials import clean_email, set_checked_password
from apps.identity.errors import LastOperator, MemberNotFound, NotInThisPlane, OperatorExists
from apps.identity.models import User
from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant_or_none


@dataclass(frozen=True, slots=True)
class CreatedOperator:
    """A new operator; the password only where we made it, and nobody can read it again."""

    id: UUID
    email: str
    name: str
    password: str | None = field(repr=False)


@transaction.atomic
def create_operator(
    *, email: str, actor: Actor, password: str | None = None, name: str = ""
) -> CreatedOperator:
    """Make a person who runs the platform. Without a password one is made and returned once."""
    made = secrets.token_urlsafe(18) if password is None else None
    user = check_new(email=email, password=password or made or "")
    user.name = name.strip()[:120]
    user.save(force_insert=True)
    _record("operator.created", actor, user, {"email": user.email})
    return CreatedOperator(id=user.pk, email=user.email, name=user.name, password=made)


def check_new(*, email: str, password: str) -> User:
    """An operator as `create_operator` would save it, or the error that it would be refused with."""
    _only_here()
    address = clean_email(email)
    if User.objects.filter(email__iexact=address).exists():
        raise OperatorExists(address)
    user = User(email=address, is_operator=True)
    set_checked_password(user, password)
    return user


@transaction.atomic
def set_operator_password(*, operator_id: UUID, password: str, actor: Actor) -> None:
    """Give an operator a new password; every session of theirs ends."""
    user = _locked(operator_id)
    set_checked_password(user, password)
    _end_sessions(user)
    user.save(update_fields=["password", "session_epoch"])
    _record("operator.password_set", actor, user)


@transaction.atomic
def deactivate_operator(*, operator_id: UUID, reason: str, actor: Actor) -> None:
    """Shut an operator out at once. The last one who can sign in stays."""
    tenancy.lock_tenant("operators")
    user = _locked(operator_id)
    if not User.objects.filter(is_active=True).exclude(pk=user.pk).exists():
        raise LastOperator
    user.is_active = False
    _end_sessions(user)
    user.save(update_fields=["is_active", "session_epoch"])
    _record("operator.shut_out", actor, user, {"reason": reason})


@transaction.atomic
def reactivate_operator(*, operator_id: UUID, reason: str, actor: Actor) -> None:
    """Let an operator in again, with the password they had."""
    user = _locked(operator_id)
    user.is_active = True
    user.save(update_fields=["is_active"])
    _record("operator.let_in", actor, user, {"reason": reason})


def portal_url(host: str, *, scheme: str, operator_port: str = "") -> str:
    """Where a tenant's portal answers, as seen from the operator's own address.

    On one machine the portal's port is the one below the operator's (docs/configuration.md); behind a proxy
    both are the standard port, which no address names.
    """
    local = operator_port == str(settings.LOCKSTEP_PORT + 1)
    return f"{scheme}://{host}:{settings.LOCKSTEP_PORT}" if local else f"{scheme}://{host}"


def _only_here() -> None:
    if current_tenant_or_none() is not None:
        raise NotInThisPlane


def _locked(operator_id: UUID) -> User:
    _only_here()
    user = User.objects.select_for_update().filter(pk=operator_id).first()
    if user is None:
        raise MemberNotFound
    return user


def _end_sessions(user: User) -> None:
    user.session_epoch += 1
    user.sessions.all().delete()


def _record(action: str, actor: Actor, user: User, details: dict[str, object] | None = None) -> None:
    governance.record_operator_audit(
        action, actor=actor, target_kind="operator", target_id=user.pk, details=details
    )
