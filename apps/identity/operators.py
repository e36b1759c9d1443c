"""Everything that changes an operator. Works in the public scope under the control plane's role only."""

import secrets
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity.credentials import clean_email, set_checked_password
from apps.identity.errors import NotInThisPlane, OperatorExists
from apps.identity.models import User
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
    if current_tenant_or_none() is not None:
        raise NotInThisPlane
    address = clean_email(email)
    if User.objects.filter(email__iexact=address).exists():
        raise OperatorExists(address)
    made = secrets.token_urlsafe(18) if password is None else None
    user = User(email=address, name=name.strip()[:120], is_operator=True)
    set_checked_password(user, password or made or "")
    user.save(force_insert=True)
    governance.record_operator_audit(
        "operator.created", actor=actor, target_kind="operator", target_id=user.pk, details={"email": address}
    )
    return CreatedOperator(id=user.pk, email=address, name=user.name, password=made)
