"""Reading plans, subscriptions, periods and invoices. Shared tables are asked for one tenant, by id,
always."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Sum

from apps.billing import describing
from apps.billing.errors import InvoiceNotFound, PlanNotFound
from apps.billing.models import (
    BillingPeriod,
    CreditEntry,
    EntitlementOverride,
    Invoice,
    InvoiceLine,
    PlanVersion,
    Statement,
    Subscription,
)
from apps.billing.types import (
    InvoiceDetail,
    InvoiceHeader,
    LineItem,
    Override,
    PeriodState,
    PlanInfo,
    SubscriptionInfo,
)


def newest_plans() -> list[PlanInfo]:
    """Every plan as it is sold now, by name."""
    rows = PlanVersion.objects.select_related("plan").order_by("plan_id", "-number").distinct("plan_id")
    return sorted((describing.plan_info(row) for row in rows), key=lambda plan: plan.terms.name)


def newest_plan(name: str) -> PlanInfo:
    """A plan as it is sold now; PlanNotFound otherwise."""
    row = PlanVersion.objects.select_related("plan").filter(plan__name=name).order_by("-number").first()
    if row is None:
        raise PlanNotFound(name)
    return describing.plan_info(row)


def plans_in_use() -> list[PlanInfo]:
    """Every version that is sold now or that somebody is still on."""
    used = Subscription.objects.filter(ended_at=None).values("plan_version")
    rows = PlanVersion.objects.select_related("plan").filter(pk__in=used)
    found = {plan.id: plan for plan in (*newest_plans(), *map(describing.plan_info, rows))}
    return list(found.values())


def subscription_of(*, tenant_id: UUID) -> SubscriptionInfo | None:
    """What a tenant is on now."""
    row = (
        Subscription.objects.select_related("plan_version__plan")
        .filter(tenant_id=tenant_id, ended_at=None)
        .first()
    )
    return describing.subscription_info(row) if row else None


def overrides_of(*, tenant_id: UUID) -> list[Override]:
    """A tenant's exceptions that have not been ended; whether one has expired is `entitlements.resolve`'s
    to say."""
    rows = EntitlementOverride.objects.filter(tenant_id=tenant_id, ended_at=None).order_by("name")
    return [describing.override_info(row) for row in rows]


def tenants_by_plan() -> dict[UUID, str]:
    """The plan's name of every tenant that has one."""
    return dict(
        Subscription.objects.filter(ended_at=None).values_list("tenant_id", "plan_version__plan__name")
    )


def invoices(*, tenant_id: UUID, limit: int = 50, before: UUID | None = None) -> list[InvoiceHeader]:
    """A tenant's invoices, newest period first, drafts included; `before` is the id of the last one seen."""
    rows = Invoice.objects.select_related("period").filter(tenant_id=tenant_id).order_by("-id")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [describing.invoice_header(row) for row in rows[:limit]]


def invoice(invoice_id: UUID, *, tenant_id: UUID) -> InvoiceDetail:
    """One invoice of the tenant in force with its lines; InvoiceNotFound for anybody else's."""
    row = Invoice.objects.select_related("period").filter(tenant_id=tenant_id, pk=invoice_id).first()
    if row is None:
        raise InvoiceNotFound
    return InvoiceDetail(describing.invoice_header(row), tuple(lines_of(row.pk)))


def current_invoice(*, tenant_id: UUID) -> InvoiceHeader | None:
    """The draft of the period that is running."""
    row = (
        Invoice.objects.select_related("period")
        .filter(tenant_id=tenant_id, period__state=PeriodState.OPEN, state="draft")
        .order_by("-period__starts_at")
        .first()
    )
    return describing.invoice_header(row) if row else None


def lines_of(invoice_id: UUID) -> Iterable[LineItem]:
    """The lines of an invoice of the tenant in force."""
    rows = InvoiceLine.objects.filter(invoice_id=invoice_id).order_by("position")
    return [describing.line_item(row) for row in rows]


def credit_balance(*, tenant_id: UUID) -> int:
    """What a tenant has left to spend of its credit, in minor units."""
    return CreditEntry.objects.filter(tenant_id=tenant_id).aggregate(sum=Sum("amount_minor"))["sum"] or 0


def due_periods(*, now: datetime) -> list[tuple[UUID, UUID]]:
    """Tenant and period, oldest first, of every period that is over and not closed."""
    rows = BillingPeriod.objects.exclude(state=PeriodState.CLOSED).filter(ends_at__lte=now)
    return list(rows.order_by("ends_at").values_list("tenant_id", "pk"))


def tenants_with_expired_overrides(*, now: datetime) -> set[UUID]:
    """Whose exceptions have run out without having been ended."""
    rows = EntitlementOverride.objects.filter(ended_at=None, expires_at__lte=now)
    return set(rows.values_list("tenant_id", flat=True))


def statement_hash_of(invoice: InvoiceHeader) -> str:
    """The seal of the statement behind an invoice, in hexadecimal; empty for a draft."""
    row = (
        Statement.objects.filter(tenant_id=invoice.tenant_id, period__starts_at=invoice.starts_at)
        .order_by("-revision")
        .first()
    )
    return bytes(row.hash).hex() if row else ""
