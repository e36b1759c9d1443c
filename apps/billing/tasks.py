"""What billing workers do, each called inside a work ticket; they take ids, may run twice and may run
late."""

from uuid import UUID

from django.utils import timezone

from apps.billing import services
from apps.governance.gates import EveryPlan, gated_task
from apps.tenancy.selectors import current_tenant, tenant_by_id

_BOOKS = EveryPlan("the operator's books are kept whatever a tenant has bought")


@gated_task("billing.roll_up_tenant", feature=_BOOKS, ignore_result=True)
def roll_up_tenant(**_: str) -> None:
    """Count what the tenant in force has used. The gateway asks for it with each commit of events."""
    services.roll_up_tenant(current_tenant(), now=timezone.now())


@gated_task("billing.close_due_periods", feature=_BOOKS, ignore_result=True)
def close_due_periods() -> None:
    """Open the next periods and close those whose time of grace is over."""
    services.close_due_periods(now=timezone.now())


@gated_task("billing.move_subscribers", feature=_BOOKS, ignore_result=True)
def move_subscribers(*, plan: str) -> None:
    """Bring the subscribers of a plan to its newest version."""
    services.move_subscribers(plan, now=timezone.now())


@gated_task("billing.ensure_customer", feature="online_payment", ignore_result=True)
def ensure_customer(**_: str) -> None:
    """Have a customer at Stripe for the tenant in force."""
    services.ensure_customer(current_tenant(), now=timezone.now())


@gated_task("billing.push_invoice", feature="online_payment", ignore_result=True)
def push_invoice(*, tenant_id: str, invoice_id: str) -> None:
    """Bring a numbered invoice to Stripe, once."""
    services.push_invoice(tenant_by_id(UUID(tenant_id)), UUID(invoice_id), now=timezone.now())


@gated_task("billing.apply_stripe_event", feature="online_payment", ignore_result=True)
def apply_stripe_event(*, event_id: str) -> None:
    """Bring our state to what Stripe now says of the object of an event."""
    services.apply_stripe_event(event_id, now=timezone.now())
