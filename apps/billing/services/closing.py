"""From usage to the draft within seconds, and from the draft to a sealed statement and a numbered invoice."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F

from apps.ai_usage import selectors as ledger
from apps.ai_usage import services as ai_usage
from apps.ai_usage.types import CountedEvent
from apps.billing import selectors
from apps.billing.allocation import sum_exact
from apps.billing.errors import BooksDoNotBalance, PeriodNotOver
from apps.billing.lines import Billed
from apps.billing.models import (
    BillingPeriod,
    CreditEntry,
    Invoice,
    InvoiceLine,
    InvoiceSeries,
    LateUsage,
    Statement,
    Subscription,
)
from apps.billing.scopes import books_of
from apps.billing.sealing import START, lines_hash, statement_hash
from apps.billing.services.drafts import refresh_drafts
from apps.billing.services.periods import ensure_periods, next_month, unclosed_periods
from apps.billing.services.subscriptions import end_expired_overrides
from apps.billing.types import CreditKind, InvoiceState, LineKind, PeriodState
from apps.billing.verifying import event_digest_of
from apps.errors import DomainError
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.jobs import services as jobs
from apps.tenancy import selectors as tenants
from apps.tenancy.types import TenantRef

log = logging.getLogger(__name__)

_SERIES = "LS"


def roll_up_tenant(tenant: TenantRef, *, now: datetime) -> int:
    """Count what the tenant has used since the last time and bring its drafts up to it; returns how many
    events.

    Run twice at once, the second waits and finds nothing; killed in between, nothing has happened.
    """
    with books_of(tenant):
        counted, is_new_period = _count(tenant, now=now)
        if counted or is_new_period:
            refresh_drafts(tenant, now=now)
    return len(counted)


def _count(tenant: TenantRef, *, now: datetime) -> tuple[list[CountedEvent], bool]:
    counted = ai_usage.count_pending()
    is_new_period = ensure_periods(tenant, until=max([now, *(event.occurred_at for event in counted)]))
    unclosed = unclosed_periods(tenant)
    if counted and unclosed:
        # What happened before the oldest draft cannot be on its own month's invoice any more.
        LateUsage.objects.bulk_create(
            LateUsage(event_id=event.id, occurred_at=event.occurred_at, billed_in=unclosed[0].pk)
            for event in counted
            if event.occurred_at < unclosed[0].starts_at
        )
    return counted, is_new_period


def close_due_periods(*, now: datetime) -> list[UUID]:
    """Close every period whose time of grace is over, each in one transaction; returns which.

    One tenant's trouble does not keep the others waiting: it is logged and met again at the next run.
    """
    _begin_new_periods(now)
    closed = []
    for tenant_id, period_id in selectors.due_periods(now=now):
        BillingPeriod.objects.filter(pk=period_id, state=PeriodState.OPEN).update(state=PeriodState.CLOSING)
        grace = timedelta(hours=settings.BILLING_GRACE_HOURS)
        if not BillingPeriod.objects.filter(pk=period_id, ends_at__lte=now - grace).exists():
            continue
        try:
            close_period(tenants.tenant_by_id(tenant_id), period_id, now=now)
            closed.append(period_id)
        except DomainError as refused:
            log.error("period %s of tenant %s not closed: %s", period_id, tenant_id, refused)
    return closed


def _begin_new_periods(now: datetime) -> None:
    """Tenants without a period for this instant get one, whether they use anything or not."""
    have = BillingPeriod.objects.filter(ends_at__gt=now).values("tenant_id")
    expired = selectors.tenants_with_expired_overrides(now=now)
    without = Subscription.objects.filter(ended_at=None).exclude(tenant_id__in=have)
    for tenant_id in without.values_list("tenant_id", flat=True):
        tenant = tenants.tenant_by_id(tenant_id)
        if tenant.is_served:
            with books_of(tenant):
                ensure_periods(tenant, until=now)
                refresh_drafts(tenant, now=now)
    for tenant_id in expired:
        tenant = tenants.tenant_by_id(tenant_id)
        if tenant.is_served:
            end_expired_overrides(tenant, now=now)


def close_period(tenant: TenantRef, period_id: UUID, *, now: datetime) -> Statement:
    """Seal one period: count what waits, check that ledger and lines agree, statement, number, frozen lines.

    All of it is one transaction. A period that is closed already gives back its statement.
    """
    with books_of(tenant):
        period = BillingPeriod.objects.select_for_update().get(pk=period_id, tenant_id=tenant.id)
        if period.state == PeriodState.CLOSED:
            return Statement.objects.filter(period=period).latest("revision")
        if now < period.ends_at:
            raise PeriodNotOver(str(period), f"{period.ends_at:%Y-%m-%d %H:%M} UTC")
        _count(tenant, now=now)
        drafts = refresh_drafts(tenant, now=now)
        invoice, billed = drafts[0]
        if invoice.period_id != period.pk:
            raise PeriodNotOver(str(period), "the end of the one before it, which is still a draft")
        statement = _seal(tenant, period, billed, invoice.currency, now=now)
        _finalise(invoice, billed, now=now)
        BillingPeriod.objects.filter(pk=period.pk).update(state=PeriodState.CLOSED, closed_at=now)
        governance.record_audit(
            "invoice.finalized",
            actor=Actor.system("billing"),
            target_kind="invoice",
            target_id=invoice.pk,
            details={
                "number": invoice.number,
                "total_minor": invoice.total_minor,
                "currency": invoice.currency,
            },
        )
        jobs.enqueue(
            "billing.push_invoice",
            tenant_id=None,  # the last invoice of a tenant is pushed when nothing runs in the tenant any more
            queue="billing",
            payload={"tenant_id": str(tenant.id), "invoice_id": str(invoice.pk)},
            dedupe_key=str(invoice.pk),
        )
    return statement


def _seal(
    tenant: TenantRef, period: BillingPeriod, billed: Billed, currency: str, *, now: datetime
) -> Statement:
    digest = event_digest_of(period)
    usage = [line.amount for line in billed.lines if line.kind in (LineKind.USAGE, LineKind.ADJUSTMENT)]
    if sum_exact(usage) != digest.price:
        raise BooksDoNotBalance(tenant.slug, str(period), f"{digest.price:f}", f"{sum_exact(usage):f}")
    before = Statement.objects.filter(tenant_id=tenant.id).order_by("-closed_at").first()
    statement = Statement(
        tenant_id=tenant.id,
        period=period,
        currency=currency,
        event_count=digest.count,
        usage_cost=digest.cost,
        usage_price=digest.price,
        subtotal=billed.subtotal,
        events_hash=digest.hash,
        lines_hash=lines_hash(billed.lines),
        previous_hash=bytes(before.hash) if before else START,
        closed_at=now,
    )
    statement.hash = statement_hash(statement)
    statement.save(force_insert=True)
    return statement


def _finalise(invoice: Invoice, billed: Billed, *, now: datetime) -> None:
    if billed.credit_used:
        CreditEntry.objects.create(
            tenant_id=invoice.tenant_id,
            kind=CreditKind.APPLIED,
            amount_minor=-billed.credit_used,
            currency=invoice.currency,
            invoice=invoice,
            created_by="billing",
            created_at=now,
        )
    InvoiceSeries.objects.get_or_create(name=_SERIES)
    # The row lock lasts until the commit: a number is given again only if this transaction never happened.
    InvoiceSeries.objects.filter(name=_SERIES).update(last=F("last") + 1)
    invoice.number = f"{_SERIES}-{InvoiceSeries.objects.get(name=_SERIES).last:06d}"
    invoice.finalized_at = now
    invoice.due_at = now + timedelta(days=settings.BILLING_DUE_DAYS)
    if invoice.total_minor:
        invoice.state = InvoiceState.FINALIZING.value
    else:
        invoice.state, invoice.paid_at = InvoiceState.PAID.value, now
    invoice.save()
    InvoiceLine.objects.filter(invoice_id=invoice.pk).update(frozen=True)


def rebuild_month(tenant: TenantRef, month: datetime, *, now: datetime) -> bool:
    """Make a month's hours and days again from its events; whether they differed from what was stored."""
    ends_at = next_month(month)
    with books_of(tenant):
        before = ledger.hourly_digest(month, ends_at)
        ai_usage.rebuild(month, ends_at)
        differed = ledger.hourly_digest(month, ends_at) != before
        if differed:
            refresh_drafts(tenant, now=now)
    return differed
