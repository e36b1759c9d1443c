"""From rows to the values that leave this app."""

from apps.billing.allocation import from_minor
from apps.billing.models import EntitlementOverride, Invoice, InvoiceLine, PlanVersion, Subscription
from apps.billing.types import (
    InvoiceHeader,
    InvoiceState,
    LineItem,
    LineKind,
    Override,
    PeriodState,
    PlanInfo,
    PlanTerms,
    SubscriptionInfo,
    SubscriptionState,
)


def plan_info(row: PlanVersion) -> PlanInfo:
    """A version with its plan's name; select_related("plan")."""
    return PlanInfo(
        id=row.pk,
        number=row.number,
        price_list=row.price_list,
        published_at=row.published_at,
        terms=PlanTerms(
            name=row.plan.name,
            price_per_month=row.price_per_month,
            currency=row.currency,
            markup_percent=row.markup_percent,
            models=tuple(row.model_names),
            features=dict(row.features),
            limits=dict(row.limits),
        ),
    )


def subscription_info(row: Subscription) -> SubscriptionInfo:
    """A subscription; select_related("plan_version__plan")."""
    return SubscriptionInfo(
        id=row.pk,
        tenant_id=row.tenant_id,
        plan=plan_info(row.plan_version),
        state=SubscriptionState(row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def override_info(row: EntitlementOverride) -> Override:
    """An exception from the plan."""
    return Override(name=row.name, value=row.value, expires_at=row.expires_at)


def invoice_header(row: Invoice) -> InvoiceHeader:
    """An invoice's header; select_related("period")."""
    return InvoiceHeader(
        id=row.pk,
        tenant_id=row.tenant_id,
        number=row.number,
        state=InvoiceState(row.state),
        currency=row.currency,
        subtotal=row.subtotal,
        total_minor=row.total_minor,
        total=from_minor(row.total_minor, row.currency),
        starts_at=row.period.starts_at,
        ends_at=row.period.ends_at,
        period_state=PeriodState(row.period.state),
        refreshed_at=row.refreshed_at,
        finalized_at=row.finalized_at,
        due_at=row.due_at,
        paid_at=row.paid_at,
    )


def line_item(row: InvoiceLine) -> LineItem:
    """One line of an invoice."""
    return LineItem(
        position=row.position,
        kind=LineKind(row.kind),
        description=row.description,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        amount=row.amount,
        amount_minor=row.amount_minor,
        model=row.model,
        quantity_class=row.quantity_class,
        price_id=row.price_id,
        quantity=row.quantity,
        price_per_million=row.price_per_million,
    )
