"""From nothing to a tenant that is served, and the way out. Each step can be repeated; a crash loses none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.billing import selectors
from apps.billing.errors import OwnerNeeded
from apps.billing.models import BillingPeriod
from apps.billing.scopes import books_of
from apps.billing.services.closing import close_period, roll_up_tenant
from apps.billing.services.periods import unclosed_periods
from apps.billing.services.subscriptions import end_subscription, subscribe
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity import selectors as people
from apps.identity import services as identity
from apps.identity.types import Role
from apps.jobs import services as jobs
from apps.tenancy import selectors as tenants
from apps.tenancy import services as tenancy
from apps.tenancy.types import TenantRef


@dataclass(frozen=True, slots=True)
class Onboarding:
    """What a new tenant is to be."""

    slug: str
    name: str
    plan: str
    owner_email: str
    actor: Actor
    now: datetime
    owner_password: str | None = None  # None: the owner is invited


def onboard_tenant(wanted: Onboarding) -> TenantRef:
    """Make a tenant and serve it when all of it is there.

    After a crash at any place the same call finishes what was begun; until then the tenant answers nobody.
    Once it is served, its slug is taken.
    """
    if not wanted.owner_email.strip():
        raise OwnerNeeded
    with tenancy.in_public(), _alone(wanted.slug):
        selectors.newest_plan(wanted.plan)  # refused before anything exists
        tenant = tenancy.begin_tenant(slug=wanted.slug, name=wanted.name)
        for step in STEPS:
            step(tenant, wanted)
        return tenants.tenant_by_id(tenant.id)


@contextmanager
def _alone(slug: str) -> Iterator[None]:
    """One at a time per slug, over all the transactions of the steps: the second who wants it learns that
    it is taken."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 19))", (f"onboarding:{slug}",))
    try:
        yield
    finally:
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 19))", (f"onboarding:{slug}",))


def build(tenant: TenantRef, wanted: Onboarding) -> None:
    """The schema, whole."""
    tenancy.build_schema(tenant)


def sell(tenant: TenantRef, wanted: Onboarding) -> None:
    """Subscription, entitlements, first period and its draft invoice."""
    with tenancy.in_provisioning(tenant), transaction.atomic():
        subscribe(tenant, plan=wanted.plan, actor=wanted.actor, now=wanted.now)


def let_owner_in(tenant: TenantRef, wanted: Onboarding) -> None:
    """The first member. After the entitlements, since a seat is one of them."""
    with tenancy.in_provisioning(tenant), transaction.atomic():
        tenancy.lock_tenant("onboarding")
        if people.member_by_email(wanted.owner_email) is None:
            identity.create_member(
                email=wanted.owner_email, role=Role.OWNER, password=wanted.owner_password, actor=wanted.actor
            )


def open_doors(tenant: TenantRef, wanted: Onboarding) -> None:
    """Serve it, and promise what may come later."""
    with tenancy.in_provisioning(tenant), transaction.atomic():
        governance.record_audit(
            "tenant.created", actor=wanted.actor, target_kind="tenant", target_id=tenant.id
        )
        jobs.enqueue(
            "billing.ensure_customer",
            tenant_id=tenant.id,
            queue="billing",
            dedupe_key=str(tenant.id),
        )
        tenancy.mark_ready(tenant)


STEPS: tuple[Callable[[TenantRef, Onboarding], None], ...] = (build, sell, let_owner_in, open_doors)


def delete_tenant(
    tenant: TenantRef, *, reason: str, grace: timedelta, actor: Actor, now: datetime
) -> TenantRef:
    """Stop a tenant at once, write its last invoice while its ledger is there, and erase it after the grace
    time."""
    roll_up_tenant(tenant, now=now)
    with books_of(tenant):
        end_subscription(tenant, actor=actor, now=now)
        for period in unclosed_periods(tenant):
            if period.starts_at < now < period.ends_at:
                # The last month ends here, and so does what it is invoiced for.
                BillingPeriod.objects.filter(pk=period.pk).update(ends_at=now)
        for period in unclosed_periods(tenant):
            if period.ends_at <= now:
                close_period(tenant, period.pk, now=now)
        return governance.delete_tenant(tenant, reason=reason, grace=grace, actor=actor)
