"""Publishing what is sold, and moving everybody who bought it along."""

from datetime import datetime

from django.db import transaction
from uuid_utils.compat import uuid7

from apps.ai_usage import services as ai_usage
from apps.billing import describing, selectors
from apps.billing.errors import InvalidPlan
from apps.billing.models import Plan, PlanVersion, Subscription
from apps.billing.services.subscriptions import move_to
from apps.billing.types import PlanInfo, PlanTerms
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.jobs import services as jobs
from apps.tenancy import selectors as tenants
from apps.tenancy.types import TenantState


@transaction.atomic
def publish_plan(terms: PlanTerms, *, actor: Actor, now: datetime) -> tuple[PlanInfo, bool]:
    """Make these the plan's terms: its newest version, and whether a new one was needed.

    Its price list sells every cost row at the markup. Subscribers follow when `move_subscribers` runs: the
    caller runs it after the commit, and a ticket does should the caller die before.
    """
    plan, _ = Plan.objects.select_for_update().get_or_create(name=terms.name, defaults={"created_at": now})
    newest = plan.versions.select_related("plan").first()
    if newest is not None:
        before = describing.plan_info(newest)
        if before.terms == terms:
            return before, False
        if before.terms.currency != terms.currency and Subscription.objects.filter(
            plan_version__plan=plan, ended_at=None
        ):
            raise InvalidPlan(
                terms.name,
                f"tenants are invoiced in {before.terms.currency} on it, and {terms.currency} would "
                "change that",
            )
    same_prices = newest is not None and newest.markup_percent == terms.markup_percent
    version = PlanVersion.objects.create(
        plan=plan,
        number=newest.number + 1 if newest else 1,
        price_per_month=terms.price_per_month,
        currency=terms.currency,
        markup_percent=terms.markup_percent,
        model_names=list(terms.models),
        features=terms.features,
        limits=terms.limits,
        price_list=newest.price_list if newest and same_prices else uuid7(),
        published_at=now,
    )
    ai_usage.publish_prices(version.price_list, terms.markup_percent)
    governance.record_operator_audit(
        "plan.published",
        actor=actor,
        target_kind="plan",
        target_id=plan.pk,
        details={"name": terms.name, "version": version.number},
    )
    jobs.enqueue(
        "billing.move_subscribers",
        tenant_id=None,
        queue="billing",
        payload={"plan": terms.name},
        dedupe_key=terms.name,
    )
    return describing.plan_info(version), True


def publish_new_rates() -> int:
    """Sell cost rows that are new at every plan in use; returns how many prices that made."""
    return sum(
        ai_usage.publish_prices(plan.price_list, plan.terms.markup_percent)
        for plan in selectors.plans_in_use()
    )


def move_subscribers(plan: str, *, now: datetime) -> int:
    """Bring each subscriber of a plan to its newest version, each in a transaction of its own; returns how
    many.

    Repeating it is harmless, and takes up where a crash stopped it.
    """
    newest = selectors.newest_plan(plan)
    behind = Subscription.objects.filter(plan_version__plan__name=plan, ended_at=None).exclude(
        plan_version=newest.id
    )
    moved = 0
    for tenant_id in list(behind.values_list("tenant_id", flat=True)):
        tenant = tenants.tenant_by_id(tenant_id)
        if tenant.state in (TenantState.READY, TenantState.SUSPENDED):
            moved += move_to(tenant, newest, actor=Actor.system("billing"), now=now)
    return moved
