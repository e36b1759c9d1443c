"""What a tenant buys, changes and ends; and its entitlements, which follow in the same transaction."""

from datetime import datetime

from django.db.models import QuerySet

from apps.billing import selectors
from apps.billing.entitlements import check_override, resolve
from apps.billing.errors import AlreadySubscribed, CurrencyFixed, NotSubscribed
from apps.billing.models import EntitlementOverride, Subscription
from apps.billing.scopes import books_of
from apps.billing.services.drafts import refresh_drafts
from apps.billing.services.periods import ensure_periods
from apps.billing.types import Override, PlanInfo, SubscriptionState
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy.types import TenantRef


def subscribe(tenant: TenantRef, *, plan: str, actor: Actor, now: datetime) -> None:
    """Begin a tenant's subscription, its first period and its draft invoice. The same again changes
    nothing."""
    bought = selectors.newest_plan(plan)
    with books_of(tenant):
        current = selectors.subscription_of(tenant_id=tenant.id)
        if current is not None and current.plan.terms.name != plan:
            raise AlreadySubscribed(tenant.slug, current.plan.terms.name)
        if current is None:
            Subscription.objects.create(tenant_id=tenant.id, plan_version_id=bought.id, started_at=now)
            governance.record_audit(
                "subscription.started",
                actor=actor,
                target_kind="plan",
                target_id=plan,
                details={"version": bought.number},
            )
        publish_entitlements(tenant, actor=actor, now=now)
        ensure_periods(tenant, until=now)
        refresh_drafts(tenant, now=now)


def set_plan(tenant: TenantRef, *, plan: str, actor: Actor, now: datetime) -> bool:
    """Change a tenant's plan from this moment on; False where it is on it already."""
    return move_to(tenant, selectors.newest_plan(plan), actor=actor, now=now)


def move_to(tenant: TenantRef, bought: PlanInfo, *, actor: Actor, now: datetime) -> bool:
    """End what the tenant is on and begin this version of a plan; False where nothing changes."""
    with books_of(tenant):
        current = selectors.subscription_of(tenant_id=tenant.id)
        if current is None:
            raise NotSubscribed(tenant.slug)
        if current.plan.id == bought.id:
            return False
        if current.plan.terms.currency != bought.terms.currency:
            raise CurrencyFixed(tenant.slug, current.plan.terms.currency, bought.terms.currency)
        # Two changes within one tick of the clock: the first was in force for no time at all.
        moment = max(now, current.started_at)
        Subscription.objects.filter(pk=current.id).update(ended_at=moment)
        Subscription.objects.create(
            tenant_id=tenant.id, plan_version_id=bought.id, state=current.state.value, started_at=moment
        )
        governance.record_audit(
            "subscription.changed",
            actor=actor,
            target_kind="plan",
            target_id=bought.terms.name,
            details={
                "before": f"{current.plan.terms.name} v{current.plan.number}",
                "after": f"{bought.terms.name} v{bought.number}",
            },
        )
        publish_entitlements(tenant, actor=actor, now=now)
        before, after = current.plan.terms, bought.terms
        if (before.name, before.price_per_month) != (after.name, after.price_per_month):
            # Other limits at the same fee leave the invoice as it is; a plan has a thousand subscribers.
            ensure_periods(tenant, until=now)
            refresh_drafts(tenant, now=now)
    return True


def set_state(
    tenant: TenantRef, state: SubscriptionState, *, reason: str, actor: Actor, now: datetime
) -> bool:
    """Say how a tenant's subscription stands; what it may do follows with the next request."""
    with books_of(tenant):
        current = selectors.subscription_of(tenant_id=tenant.id)
        if current is None:
            raise NotSubscribed(tenant.slug)
        if current.state is state:
            return False
        Subscription.objects.filter(pk=current.id).update(state=state.value)
        governance.record_audit(
            "subscription.state_changed",
            actor=actor,
            target_kind="subscription",
            target_id=current.id,
            details={"before": current.state.value, "after": state.value, "reason": reason},
        )
        publish_entitlements(tenant, actor=actor, now=now)
    return True


def end_subscription(tenant: TenantRef, *, actor: Actor, now: datetime) -> None:
    """End a tenant's subscription now; nothing may be used after it. Without one, nothing happens."""
    with books_of(tenant):
        current = selectors.subscription_of(tenant_id=tenant.id)
        if current is None:
            return
        Subscription.objects.filter(pk=current.id).update(
            ended_at=max(now, current.started_at), state=SubscriptionState.CANCELED.value
        )
        governance.record_audit(
            "subscription.ended", actor=actor, target_kind="subscription", target_id=current.id
        )
        publish_entitlements(tenant, actor=actor, now=now)
        refresh_drafts(tenant, now=now)


def set_override(tenant: TenantRef, override: Override, *, reason: str, actor: Actor, now: datetime) -> None:
    """Give a tenant an exception from its plan, in place of an earlier one of the same name."""
    check_override(override)
    with books_of(tenant):
        _standing_overrides(tenant).filter(name=override.name).update(ended_at=now)
        EntitlementOverride.objects.create(
            tenant_id=tenant.id,
            name=override.name,
            value=override.value,
            reason=reason,
            created_by=actor.name,
            created_at=now,
            expires_at=override.expires_at,
        )
        governance.record_audit(
            "entitlement.overridden",
            actor=actor,
            target_kind="entitlement",
            target_id=override.name,
            details={"value": override.value, "reason": reason, "expires_at": override.expires_at},
        )
        publish_entitlements(tenant, actor=actor, now=now)


def end_override(tenant: TenantRef, name: str, *, actor: Actor, now: datetime) -> bool:
    """Go back to what the plan says; False where there was no exception of that name."""
    with books_of(tenant):
        if not _standing_overrides(tenant).filter(name=name).update(ended_at=now):
            return False
        governance.record_audit(
            "entitlement.override_ended", actor=actor, target_kind="entitlement", target_id=name
        )
        publish_entitlements(tenant, actor=actor, now=now)
    return True


def end_expired_overrides(tenant: TenantRef, *, now: datetime) -> int:
    """Notice exceptions whose time is over and publish what the tenant may use without them."""
    with books_of(tenant):
        ended = _standing_overrides(tenant).filter(expires_at__lte=now).update(ended_at=now)
        if ended:
            publish_entitlements(tenant, actor=Actor.system("billing"), now=now)
    return ended


def publish_entitlements(tenant: TenantRef, *, actor: Actor, now: datetime) -> None:
    """Resolve what the tenant in force may use and publish it: the loop from money back to admission."""
    current = selectors.subscription_of(tenant_id=tenant.id)
    governance.publish_entitlements(
        resolve(
            current.plan if current else None,
            current.state if current else SubscriptionState.CANCELED,
            selectors.overrides_of(tenant_id=tenant.id),
            now=now,
        ),
        actor=actor,
    )


def _standing_overrides(tenant: TenantRef) -> QuerySet[EntitlementOverride]:
    return EntitlementOverride.objects.filter(tenant_id=tenant.id, ended_at=None)
