"""Credit that an operator gives: spent by invoices before anything is asked for, never overdrawn."""

from datetime import datetime

from apps.billing import selectors
from apps.billing.errors import CreditTooSmall, NotSubscribed
from apps.billing.models import CreditEntry
from apps.billing.scopes import books_of
from apps.billing.services.drafts import refresh_drafts
from apps.billing.types import CreditKind
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy.types import TenantRef


def change_credit(tenant: TenantRef, *, amount_minor: int, reason: str, actor: Actor, now: datetime) -> int:
    """Grant credit, or withdraw what is unspent with a negative amount; returns the balance in minor
    units."""
    with books_of(tenant):
        current = selectors.subscription_of(tenant_id=tenant.id)
        if current is None:
            raise NotSubscribed(tenant.slug)
        balance = selectors.credit_balance(tenant_id=tenant.id)
        if balance + amount_minor < 0:
            raise CreditTooSmall(str(-amount_minor), str(balance))
        if amount_minor:
            CreditEntry.objects.create(
                tenant_id=tenant.id,
                kind=CreditKind.GRANTED if amount_minor > 0 else CreditKind.WITHDRAWN,
                amount_minor=amount_minor,
                currency=current.plan.terms.currency,
                reason=reason,
                created_by=actor.name,
                created_at=now,
            )
            governance.record_audit(
                "credit.changed",
                actor=actor,
                target_kind="tenant",
                target_id=tenant.id,
                details={"amount_minor": amount_minor, "reason": reason},
            )
            refresh_drafts(tenant, now=now)
    return balance + amount_minor
