"""From a numbered invoice to Stripe, and from what Stripe says back to our state and the next request."""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.billing import selectors, stripe
from apps.billing.errors import InvoiceNotDraft, InvoiceNotFound
from apps.billing.models import Invoice, InvoiceLine, StripeCustomer, StripeInbox, StripeOutbox
from apps.billing.scopes import books_of, inside
from apps.billing.services.outbox import say_once
from apps.billing.services.subscriptions import set_state
from apps.billing.types import InboxState, InvoiceState, OutboxState, SubscriptionState
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity import selectors as people
from apps.identity.types import Role
from apps.jobs import services as jobs
from apps.tenancy import selectors as tenants
from apps.tenancy.types import TenantRef, TenantState

log = logging.getLogger(__name__)

# Stripe takes 250 items on an invoice; the smallest lines beyond this many become one. All of them are in
# our CSV.
_MOST_ITEMS = 200


def ensure_customer(tenant: TenantRef, *, now: datetime) -> str | None:
    """The tenant's customer at Stripe, made if there is none; None where Stripe does not collect."""
    if not stripe.is_configured():
        return None
    bound = StripeCustomer.objects.filter(tenant_id=tenant.id).first()
    if bound is not None:
        return bound.customer_id
    request = {"name": tenant.name, "metadata": {"lockstep_tenant": str(tenant.id)}}
    if owner := _owner_email(tenant):
        request["email"] = owner
    customer = say_once(
        tenant_id=tenant.id,
        step="customer.create",
        subject_id=tenant.id,
        request=request,
        send=lambda words, key: stripe.create_customer(words, key=key),
        find=lambda: stripe.find_customer(str(tenant.id)),
        now=now,
    )
    StripeCustomer.objects.get_or_create(
        tenant_id=tenant.id, defaults={"customer_id": customer, "bound_at": now}
    )
    return customer


def push_invoice(tenant: TenantRef, invoice_id: UUID, *, now: datetime) -> None:
    """Have Stripe collect a numbered invoice. Each step happens once; repeating it goes on where it stopped.

    Stripe's total is compared with ours before it is finalised. A difference parks the invoice for a person.
    """
    invoice = Invoice.objects.select_related("period").filter(tenant_id=tenant.id, pk=invoice_id).first()
    if invoice is None:
        raise InvoiceNotFound
    if invoice.state != InvoiceState.FINALIZING:
        return
    customer = ensure_customer(tenant, now=now)
    if customer is not None:
        with inside(tenant):
            _collect(tenant, invoice, customer, now)
    with books_of(tenant):
        Invoice.objects.filter(pk=invoice.pk, state=InvoiceState.FINALIZING).update(state=InvoiceState.OPEN)


def _collect(tenant: TenantRef, invoice: Invoice, customer: str, now: datetime) -> None:
    at_stripe = say_once(
        tenant_id=tenant.id,
        step="invoice.create",
        subject_id=invoice.pk,
        request={
            "customer": customer,
            "currency": invoice.currency.lower(),
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "collection_method": "send_invoice",
            "due_date": int(invoice.due_at.timestamp()) if invoice.due_at else None,
            "description": f"{invoice.number}, {invoice.period.starts_at:%B %Y}",
            "metadata": {"lockstep_tenant": str(tenant.id), "lockstep_invoice": str(invoice.pk)},
        },
        send=lambda words, key: stripe.create_invoice(words, key=key),
        find=lambda: stripe.find_invoice(customer, str(invoice.pk)),
        now=now,
    )
    for line_id, item in _items(invoice, customer, at_stripe):
        say_once(
            tenant_id=tenant.id,
            step="invoice.line",
            subject_id=line_id,
            request=item,
            send=lambda words, key: stripe.create_item(words, key=key),
            find=lambda line_id=line_id: stripe.find_item(at_stripe, str(line_id)),  # type: ignore[misc]
            now=now,
        )
    found = stripe.retrieve_invoice(at_stripe)
    if (found.total, found.currency.upper(), found.customer) != (
        invoice.total_minor,
        invoice.currency,
        customer,
    ):
        StripeOutbox.objects.filter(step="invoice.create", subject_id=invoice.pk).update(
            error=(
                f"Stripe comes to {found.total} {found.currency}, we to {invoice.total_minor} "
                f"{invoice.currency}."
            )
        )
        raise stripe.StripeRefused(
            f"invoice {invoice.number} comes to {found.total} there and {invoice.total_minor} here"
        )
    say_once(
        tenant_id=tenant.id,
        step="invoice.finalize",
        subject_id=invoice.pk,
        request={},
        send=lambda _, key: (
            stripe.finalize_invoice(at_stripe, key=key) if found.status == "draft" else at_stripe
        ),
        find=lambda: at_stripe if found.status != "draft" else None,
        now=now,
    )


def _items(invoice: Invoice, customer: str, at_stripe: str) -> Iterable[tuple[UUID, dict[str, Any]]]:
    lines = sorted(
        InvoiceLine.objects.filter(invoice_id=invoice.pk).exclude(amount_minor=0),
        key=lambda line: (-abs(line.amount_minor), line.position),
    )
    whole, rest = lines[:_MOST_ITEMS], lines[_MOST_ITEMS:]
    for line in sorted(whole, key=lambda line: line.position):
        yield line.pk, _item(invoice, customer, at_stripe, line.pk, line.description, line.amount_minor)
    if folded := sum(line.amount_minor for line in rest):
        text = f"{len(rest)} smaller lines, itemised in the CSV of {invoice.number}"
        yield rest[0].pk, _item(invoice, customer, at_stripe, rest[0].pk, text, folded)


def _item(
    invoice: Invoice, customer: str, at_stripe: str, line_id: UUID, description: str, amount_minor: int
) -> dict[str, Any]:
    return {
        "customer": customer,
        "invoice": at_stripe,
        "amount": amount_minor,
        "currency": invoice.currency.lower(),
        "description": description,
        "period": {
            "start": int(invoice.period.starts_at.timestamp()),
            "end": int(invoice.period.ends_at.timestamp()),
        },
        "metadata": {"lockstep_line": str(line_id)},
    }


def receive_webhook(event: stripe.WebhookEvent, *, now: datetime) -> bool:
    """Keep a verified webhook and promise to act on it; False where it came before. One insert, then the
    answer."""
    with transaction.atomic():
        row = StripeInbox(
            event_id=event.id,
            type=event.type,
            object_id=event.object_id,
            created=event.created,
            livemode=event.livemode,
            account=event.account,
            payload=event.payload,
            received_at=now,
        )
        before = StripeInbox.objects.filter(event_id=event.id).exists()
        if not before:
            StripeInbox.objects.bulk_create([row], ignore_conflicts=True)
            jobs.enqueue(
                "billing.apply_stripe_event",
                tenant_id=None,
                queue="billing",
                payload={"event_id": event.id},
                dedupe_key=event.id,
            )
    return not before


def apply_stripe_event(event_id: str, *, now: datetime) -> None:
    """Bring our state to what Stripe says now of the object of an event.

    What counts is the fetched object, never the payload, so events may come twice, late and in any order.
    """
    row = StripeInbox.objects.get(event_id=event_id)
    if row.state != InboxState.RECEIVED:
        return
    outcome, note = InboxState.IGNORED, "about nothing of ours"
    if row.type.startswith("invoice.") and row.object_id:
        sent = StripeOutbox.objects.filter(
            step="invoice.create", state=OutboxState.DONE, stripe_id=row.object_id
        ).first()
        if sent is not None:
            tenant = tenants.tenant_by_id(sent.tenant_id)
            note = _follow(
                tenant, sent.subject_id, row.object_id, now, failed=row.type == "invoice.payment_failed"
            )
            outcome = InboxState.IGNORED if note else InboxState.APPLIED
    if stripe.is_configured():
        note = "; ".join(filter(None, (note, stripe.mirror(row.payload))))
    StripeInbox.objects.filter(pk=row.pk).update(state=outcome, note=note[:300], applied_at=now)


def _follow(tenant: TenantRef, invoice_id: UUID, stripe_id: str, now: datetime, *, failed: bool) -> str:
    """Take over what became of an invoice at Stripe; why not, or nothing. `failed`: a payment just did."""
    found = stripe.retrieve_invoice(stripe_id)
    bound = StripeCustomer.objects.filter(customer_id=found.customer).first()
    if bound is None or bound.tenant_id != tenant.id:
        return "its customer is not bound to the tenant of the invoice"
    if tenant.state is TenantState.DELETED:
        return "the tenant is not there any more"
    with books_of(tenant):
        invoice = Invoice.objects.select_for_update().get(pk=invoice_id, tenant_id=tenant.id)
        _settle(invoice, found, now)
        if failed and found.status == "open":
            governance.record_audit(
                "invoice.payment_failed",
                actor=Actor.system("stripe"),
                target_kind="invoice",
                target_id=invoice.pk,
                details=_said(invoice),
            )
        state = _subscription_state(tenant, invoice, found)
        current = selectors.subscription_of(tenant_id=tenant.id)
        if state is not None and current is not None:
            set_state(
                tenant,
                state,
                reason=f"invoice {invoice.number} at Stripe is {found.status}",
                actor=Actor.system("stripe"),
                now=now,
            )
    return ""


def _settle(invoice: Invoice, found: stripe.StripeInvoice, now: datetime) -> None:
    wanted = {
        "paid": InvoiceState.PAID,
        "void": InvoiceState.VOID,
        "uncollectible": InvoiceState.UNCOLLECTIBLE,
    }.get(found.status)
    if wanted is None or invoice.state == wanted or invoice.state in (InvoiceState.PAID, InvoiceState.VOID):
        return
    invoice.state = wanted.value
    invoice.paid_at = (found.paid_at or now) if wanted is InvoiceState.PAID else None
    invoice.voided_at = now if wanted is InvoiceState.VOID else None
    invoice.save(update_fields=["state", "paid_at", "voided_at"])
    governance.record_audit(
        f"invoice.{wanted.value}",
        actor=Actor.system("stripe"),
        target_kind="invoice",
        target_id=invoice.pk,
        details=_said(invoice),
    )


def _said(invoice: Invoice) -> dict[str, object]:
    """What the audit log says of an invoice."""
    return {"number": invoice.number, "total_minor": invoice.total_minor, "currency": invoice.currency}


def _subscription_state(
    tenant: TenantRef, invoice: Invoice, found: stripe.StripeInvoice
) -> SubscriptionState | None:
    """What an invoice's fate means for the subscription: None where it changes nothing."""
    if found.status == "uncollectible":
        return SubscriptionState.UNPAID
    if found.status == "open" and found.attempted:
        return SubscriptionState.PAST_DUE
    if found.status in ("paid", "void"):
        owed = Invoice.objects.filter(tenant_id=tenant.id, state=InvoiceState.UNCOLLECTIBLE)
        if not owed.exclude(pk=invoice.pk).exists():
            return SubscriptionState.ACTIVE
    return None


def mark_paid(tenant: TenantRef, invoice_id: UUID, *, reason: str, actor: Actor, now: datetime) -> None:
    """Note that an invoice was paid outside Stripe."""
    with books_of(tenant):
        invoice = Invoice.objects.select_for_update().filter(tenant_id=tenant.id, pk=invoice_id).first()
        if invoice is None:
            raise InvoiceNotFound
        if invoice.state not in (InvoiceState.OPEN, InvoiceState.FINALIZING, InvoiceState.UNCOLLECTIBLE):
            raise InvoiceNotDraft(invoice.number or "", invoice.state, "open or uncollectible")
        invoice.state, invoice.paid_at = InvoiceState.PAID.value, now
        invoice.save(update_fields=["state", "paid_at"])
        governance.record_audit(
            "invoice.paid",
            actor=actor,
            target_kind="invoice",
            target_id=invoice.pk,
            details=_said(invoice) | {"reason": reason},
        )


def _owner_email(tenant: TenantRef) -> str:
    with inside(tenant):
        everybody = people.members()
    owners = [member.email for member in everybody if member.role is Role.OWNER and member.is_active]
    return owners[0] if owners else ""
