"""Plans, subscriptions and the books in the operator admin. The books are read here; services write them."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from apps.billing import selectors, services
from apps.billing.allocation import from_minor
from apps.billing.models import (
    BillingPeriod,
    CreditEntry,
    EntitlementOverride,
    Invoice,
    Plan,
    PlanVersion,
    Statement,
    StripeInbox,
    StripeOutbox,
    Subscription,
)
from apps.billing.operator.forms import CreditForm, DeletionForm, OverrideForm, PlanChoiceForm, TermsForm
from apps.billing.scopes import inside
from apps.billing.types import InvoiceState, Override, PlanTerms
from apps.operator_site.forms import ReasonForm
from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import Column, RowAction, RowPage
from apps.tenancy import selectors as tenants
from apps.tenancy.errors import TenantNotFound
from apps.tenancy.types import TenantState

_STATE_COLOURS = {
    "draft": "info",
    "open": "warning",
    "paid": "success",
    "void": "info",
    "uncollectible": "danger",
}


class ReadOnlyPage(OperatorPage):
    """Rows that services alone write."""

    may_add = may_change = may_delete = False


class OfTenantPage(ReadOnlyPage):
    """Rows that belong to one tenant, named by its slug."""

    search_fields = ["tenant_id"]

    @display(description="Tenant")
    def shown_tenant(self, row: Any) -> str:
        try:
            return tenants.tenant_by_id(row.tenant_id).slug
        except TenantNotFound:
            return str(row.tenant_id)


class NewPlanForm(TermsForm, forms.ModelForm):
    """A plan's name and its first terms."""

    class Meta:
        model = Plan
        fields = ["name"]


def _publish(request: Any, plan: Plan, cleaned: dict[str, Any]) -> str:
    now = timezone.now()
    terms = PlanTerms(name=plan.name, **cleaned)
    published, is_new = services.publish_plan(terms, actor=request.actor, now=now)
    if not is_new:
        return f"{plan.name} says this already."
    moved = services.move_subscribers(plan.name, now=now)
    return (
        f"Version {published.number} of {plan.name} is for sale; {moved} tenants follow with their "
        "next request."
    )


@admin.register(Plan)
class PlanPage(OperatorPage):
    """A plan is what its newest version says. Subscribers follow it at once."""

    may_change = may_delete = False
    list_display = ["name", "shown_version", "shown_price", "shown_subscribers"]
    search_fields = ["name"]
    fields = ["name", "created_at"]
    row_actions = [
        RowAction(
            name="publish",
            label="Publish a version",
            run=_publish,
            form=TermsForm,
            explanation="Prices are built from costs with the markup, rounded once. Every tenant on the plan "
            "has the new limits with its next request, and pays the new price from this moment on.",
        )
    ]
    row_pages = [
        RowPage(
            name="versions",
            label="Versions",
            template="operator/plan_versions.html",
            context=lambda request, plan: {"versions": plan.versions.all()},
        )
    ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return NewPlanForm if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return list(NewPlanForm.base_fields) if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        cleaned = {name: value for name, value in form.cleaned_data.items() if name != "name"}
        _publish(request, obj, cleaned)
        obj.pk, obj._state.adding = Plan.objects.get(name=obj.name).pk, False

    @display(description="Version")
    def shown_version(self, plan: Plan) -> int:
        return selectors.newest_plan(plan.name).number

    @display(description="A month")
    def shown_price(self, plan: Plan) -> str:
        terms = selectors.newest_plan(plan.name).terms
        return f"{terms.price_per_month:.2f} {terms.currency}"

    @display(description="Tenants")
    def shown_subscribers(self, plan: Plan) -> int:
        return Subscription.objects.filter(plan_version__plan=plan, ended_at=None).count()


@admin.register(PlanVersion)
class PlanVersionPage(ReadOnlyPage):
    list_display = ["plan", "number", "price_per_month", "currency", "markup_percent", "published_at"]
    list_filter = ["plan"]
    list_select_related = ["plan"]


@admin.register(Subscription)
class SubscriptionPage(OfTenantPage):
    list_display = ["shown_tenant", "plan_version", "state", "started_at", "ended_at"]
    list_filter = ["state", "plan_version__plan"]
    list_select_related = ["plan_version__plan"]


@admin.register(EntitlementOverride)
class OverridePage(OfTenantPage):
    list_display = ["shown_tenant", "name", "value", "reason", "created_by", "expires_at", "ended_at"]


@admin.register(BillingPeriod)
class PeriodPage(OfTenantPage):
    list_display = ["shown_tenant", "starts_at", "ends_at", "state", "closed_at"]
    list_filter = ["state"]


@admin.register(Statement)
class StatementPage(OfTenantPage):
    list_display = [
        "shown_tenant",
        "period",
        "event_count",
        "usage_cost",
        "usage_price",
        "currency",
        "shown_seal",
    ]
    list_select_related = ["period"]
    fields = [
        "shown_tenant",
        "period",
        "event_count",
        "usage_cost",
        "usage_price",
        "subtotal",
        "currency",
        "shown_seal",
    ]

    @display(description="Seal")
    def shown_seal(self, statement: Statement) -> str:
        return bytes(statement.hash).hex()


def _mark_paid(request: Any, invoice: Invoice, said: dict[str, Any]) -> str:
    services.mark_paid(
        tenants.tenant_by_id(invoice.tenant_id),
        invoice.pk,
        reason=said["reason"],
        actor=request.actor,
        now=timezone.now(),
    )
    return f"Invoice {invoice.number} is paid."


def _lines(request: HttpRequest, invoice: Invoice) -> dict[str, Any]:
    tenant = tenants.tenant_by_id(invoice.tenant_id)
    if tenant.state is TenantState.DELETED:
        return {"lines": [], "erased": True}
    with inside(tenant):
        return {"lines": selectors.lines_of(invoice.pk), "erased": False}


@admin.register(Invoice)
class InvoicePage(OfTenantPage):
    list_display = [
        "shown_number",
        "shown_tenant",
        "period",
        "shown_state",
        "shown_total",
        "finalized_at",
        "due_at",
    ]
    list_filter = ["state"]
    list_select_related = ["period"]
    search_fields = ["number", "tenant_id"]
    row_actions = [
        RowAction(
            name="mark-paid",
            label="Mark as paid",
            run=_mark_paid,
            form=ReasonForm,
            explanation="For money that came by another way than Stripe.",
            applies=lambda invoice: invoice.state in (InvoiceState.OPEN, InvoiceState.UNCOLLECTIBLE),
        )
    ]
    row_pages = [RowPage(name="lines", label="Lines", template="operator/invoice_lines.html", context=_lines)]

    @display(description="Number")
    def shown_number(self, invoice: Invoice) -> str:
        return invoice.number or "draft"

    @display(description="State", label=_STATE_COLOURS)
    def shown_state(self, invoice: Invoice) -> str:
        return invoice.state

    @display(description="Total")
    def shown_total(self, invoice: Invoice) -> str:
        return f"{from_minor(invoice.total_minor, invoice.currency)} {invoice.currency}"


@admin.register(CreditEntry)
class CreditPage(OfTenantPage):
    list_display = ["shown_tenant", "kind", "amount_minor", "currency", "reason", "created_by", "created_at"]
    list_filter = ["kind"]


@admin.register(StripeInbox)
class InboxPage(ReadOnlyPage):
    list_display = ["type", "event_id", "object_id", "state", "note", "created", "received_at"]
    list_filter = ["state", "type"]
    search_fields = ["event_id", "object_id"]


@admin.register(StripeOutbox)
class OutboxPage(OfTenantPage):
    list_display = [
        "step",
        "shown_tenant",
        "state",
        "attempts",
        "stripe_id",
        "error",
        "created_at",
        "done_at",
    ]
    list_filter = ["state", "step"]
    search_fields = ["stripe_id", "idempotency_key", "tenant_id"]


def _sell_new_rates(request: HttpRequest, row: Any) -> None:
    services.publish_new_rates()


def _change_plan(request: Any, tenant: Any, said: dict[str, Any]) -> str:
    changed = services.set_plan(tenant.as_ref(), plan=said["plan"], actor=request.actor, now=timezone.now())
    return f"{tenant} is on {said['plan']} {'from now on' if changed else 'already'}."


def _change_credit(request: Any, tenant: Any, said: dict[str, Any]) -> str:
    balance = services.change_credit(tenant.as_ref(), **said, actor=request.actor, now=timezone.now())
    return f"{tenant} has {balance} cents of credit."


def _override(request: Any, tenant: Any, said: dict[str, Any]) -> str:
    expires_at: datetime | None = said["expires_at"]
    services.set_override(
        tenant.as_ref(),
        Override(said["name"], said["value"], expires_at),
        reason=said["reason"],
        actor=request.actor,
        now=timezone.now(),
    )
    return f"{said['name']} of {tenant} is {said['value']} from its next request on."


def _delete(request: Any, tenant: Any, said: dict[str, Any]) -> str:
    services.delete_tenant(
        tenant.as_ref(),
        reason=said["reason"],
        grace=timedelta(days=said["grace_days"]),
        actor=request.actor,
        now=timezone.now(),
    )
    return f"{tenant.slug} is no longer served; its data is erased in {said['grace_days']} days."


def _plans_of(keys: Any) -> dict[UUID, str]:
    return selectors.tenants_by_plan()


def _is_served(tenant: Any) -> bool:
    return tenant.state in (TenantState.READY, TenantState.SUSPENDED)


site.hang("ai_usage.costrate", after_change=[_sell_new_rates])
site.hang(
    "tenancy.tenant",
    columns=[Column("Plan", _plans_of)],
    actions=[
        RowAction("plan", "Change plan", _change_plan, form=PlanChoiceForm, applies=_is_served),
        RowAction("credit", "Give credit", _change_credit, form=CreditForm, applies=_is_served),
        RowAction("exception", "Exception from the plan", _override, form=OverrideForm, applies=_is_served),
        RowAction(
            name="delete",
            label="Delete",
            run=_delete,
            form=DeletionForm,
            explanation="Stops serving the tenant at once and writes its last invoice. Its schema, with people, "
            "keys and usage, is erased when the days have passed; statements and invoices stay in the books.",
            applies=_is_served,
            is_dangerous=True,
        ),
    ],
)
