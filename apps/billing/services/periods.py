"""Billing periods: calendar months in UTC, half-open, one after the other without a gap."""

from datetime import datetime, timedelta

from apps.billing.models import BillingPeriod, Subscription
from apps.billing.types import PeriodState
from apps.tenancy.types import TenantRef


def ensure_periods(tenant: TenantRef, *, until: datetime) -> bool:
    """Have a period for every instant from the tenant's first subscription to `until`, or to the end of its
    last.

    Returns whether one had to be made. The books are held.
    """
    last = BillingPeriod.objects.filter(tenant_id=tenant.id).order_by("-ends_at").first()
    if last is not None:
        begin = last.ends_at
    else:
        first = Subscription.objects.filter(tenant_id=tenant.id).order_by("started_at").first()
        if first is None:
            return False
        begin = month_start(first.started_at)
    until = min(until, _subscribed_until(tenant) or until)
    made = begin <= until
    while begin <= until:
        end = next_month(begin)
        BillingPeriod.objects.create(tenant_id=tenant.id, starts_at=begin, ends_at=end)
        begin = end
    return made


def _subscribed_until(tenant: TenantRef) -> datetime | None:
    """The last instant of a subscription that has ended for good; None while there is one."""
    newest = Subscription.objects.filter(tenant_id=tenant.id).order_by("-started_at", "-id").first()
    return newest.ended_at - timedelta(microseconds=1) if newest and newest.ended_at else None


def month_start(moment: datetime) -> datetime:
    """The first instant of a moment's calendar month (UTC)."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(moment: datetime) -> datetime:
    """The first instant of the calendar month after a moment's."""
    if moment.month == 12:
        return month_start(moment).replace(year=moment.year + 1, month=1)
    return month_start(moment).replace(month=moment.month + 1)


def unclosed_periods(tenant: TenantRef) -> list[BillingPeriod]:
    """The periods whose invoices are drafts, oldest first."""
    rows = BillingPeriod.objects.filter(tenant_id=tenant.id).exclude(state=PeriodState.CLOSED)
    return list(rows.order_by("starts_at"))
