"""Draft invoices: made again from the ledger after each roll-up, so that they never drift from it."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from apps import money
from apps.ai_usage import selectors as ai_usage
from apps.billing import selectors
from apps.billing.lines import Billed, LateSums, bill
from apps.billing.models import BillingPeriod, Invoice, InvoiceLine, LateUsage, Subscription
from apps.billing.proration import Fee, Stretch, fees
from apps.billing.services.periods import month_start, next_month, unclosed_periods
from apps.billing.types import InvoiceState
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy.types import TenantRef

_PERIOD = "period"


def refresh_drafts(tenant: TenantRef, *, now: datetime) -> list[tuple[Invoice, Billed]]:
    """Bring the draft of each period that is not closed to what the ledger says. The tenant's books are
    held."""
    carried, credit = _carried_from_closed(tenant), selectors.credit_balance(tenant_id=tenant.id)
    drafts = []
    for period in unclosed_periods(tenant):
        currency = _currency(tenant, period)
        billed = _bill(tenant, period, currency, carried, credit)
        drafts.append((_write(tenant, period, currency, billed, now), billed))
        carried, credit = billed.carried_out, credit - billed.credit_used
    return drafts


def _bill(tenant: TenantRef, period: BillingPeriod, currency: str, carried: Decimal, credit: int) -> Billed:
    usage = ai_usage.usage_sums(period.starts_at, period.ends_at)
    late = _late_sums(period)
    return bill(
        currency=currency,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        fees=_fees(tenant, period),
        usage=usage,
        late=late,
        carried_in=carried,
        credit=credit,
        prices=ai_usage.prices_per_million(
            {one.price_id for one in usage} | {one.price_id for earlier in late for one in earlier.sums}
        ),
    )


def _fees(tenant: TenantRef, period: BillingPeriod) -> list[Fee]:
    rows = Subscription.objects.select_related("plan_version__plan").filter(
        tenant_id=tenant.id, started_at__lt=period.ends_at
    )
    stretches = [
        Stretch(row.plan_version.plan.name, row.plan_version.price_per_month, row.started_at, row.ended_at)
        for row in rows
    ]
    month = (month_start(period.starts_at), next_month(period.starts_at))
    return fees(stretches, period.starts_at, period.ends_at, month=month)


def _late_sums(period: BillingPeriod) -> list[LateSums]:
    """Late usage that this period bills, by the month in which it happened."""
    by_month: dict[datetime, list[UUID]] = defaultdict(list)
    for event_id, occurred_at in LateUsage.objects.filter(billed_in=period.pk).values_list(
        "event_id", "occurred_at"
    ):
        by_month[month_start(occurred_at)].append(event_id)
    return [
        LateSums(month, next_month(month), ai_usage.event_sums(events))
        for month, events in sorted(by_month.items())
    ]


def _currency(tenant: TenantRef, period: BillingPeriod) -> str:
    last = (
        Subscription.objects.select_related("plan_version")
        .filter(tenant_id=tenant.id, started_at__lt=period.ends_at)
        .order_by("-started_at")
        .first()
    )
    return last.plan_version.currency if last else "USD"


def _carried_from_closed(tenant: TenantRef) -> Decimal:
    before = (
        Invoice.objects.filter(tenant_id=tenant.id, kind=_PERIOD)
        .exclude(state=InvoiceState.DRAFT)
        .order_by("-period__starts_at", "-revision")
        .first()
    )
    return before.carried_out if before else money.ZERO


def _write(tenant: TenantRef, period: BillingPeriod, currency: str, billed: Billed, now: datetime) -> Invoice:
    invoice, made = Invoice.objects.update_or_create(
        tenant_id=tenant.id,
        period=period,
        kind=_PERIOD,
        revision=1,
        defaults={
            "currency": currency,
            "subtotal": billed.subtotal,
            "total_minor": billed.total_minor,
            "carried_out": billed.carried_out,
            "refreshed_at": now,
        },
    )
    if made:
        governance.record_audit(
            "invoice.drafted",
            actor=Actor.system("billing"),
            target_kind="invoice",
            target_id=invoice.pk,
            details={"number": None, "total_minor": billed.total_minor, "currency": currency},
        )
    InvoiceLine.objects.filter(invoice_id=invoice.pk).delete()
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice_id=invoice.pk,
            position=line.position,
            kind=line.kind.value,
            description=line.description,
            starts_at=line.starts_at,
            ends_at=line.ends_at,
            model=line.model,
            quantity_class=line.quantity_class,
            price_id=line.price_id,
            quantity=line.quantity,
            price_per_million=line.price_per_million,
            amount=line.amount,
            amount_minor=line.amount_minor,
        )
        for line in billed.lines
    )
    return invoice
