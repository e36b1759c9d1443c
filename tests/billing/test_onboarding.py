"""Making a tenant: all of it or nobody sees it, and a crash anywhere is finished by calling again."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from apps.billing import selectors, services
from apps.billing.errors import OwnerNeeded, PlanNotFound
from apps.billing.models import BillingPeriod, Invoice, Statement, Subscription
from apps.billing.services import onboarding
from apps.billing.types import InvoiceState, PeriodState
from apps.governance import selectors as governance
from apps.identity import selectors as people
from apps.tenancy import selectors as tenants
from apps.tenancy.errors import SlugTaken, TenantNotFound, TenantNotReady
from apps.tenancy.models import Tenant
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState
from tests.factories import usage
from tests.factories.selling import NOW, OPERATOR, terms
from tests.planes import control_plane


def wanted(slug="umbrella", **changes):
    fields = {"name": "Umbrella", "plan": "solo", "owner_email": "owner@umbrella.example"} | changes
    return services.Onboarding(slug=slug, actor=OPERATOR, now=NOW, **fields)


def check_whole(tenant):
    assert tenant.state is TenantState.READY
    assert tenants.tenant_for_host(f"{tenant.slug}.localhost") == tenant
    with in_tenant(tenant):
        assert governance.entitlements().plan == "solo"
        [owner] = people.members()
        assert (owner.email, owner.role.value) == ("owner@umbrella.example", "owner")
        assert selectors.current_invoice(tenant_id=tenant.id) is not None
        actions = [entry.action for entry in governance.audit_log()]
    assert Subscription.objects.filter(tenant_id=tenant.id).count() == 1
    assert BillingPeriod.objects.filter(tenant_id=tenant.id).count() == 1
    assert Invoice.objects.filter(tenant_id=tenant.id).count() == 1
    for once in ("subscription.started", "member.created", "tenant.created", "entitlements.published"):
        assert actions.count(once) == 1


def test_a_new_tenant_has_all_that_it_needs_to_be_served(selling):
    tenant = services.onboard_tenant(wanted())

    check_whole(tenant)
    period = BillingPeriod.objects.get(tenant_id=tenant.id)
    assert (period.starts_at, period.ends_at) == (
        NOW.replace(day=1, hour=0),
        NOW.replace(month=12, day=1, hour=0),
    )


STEPS = [step.__name__ for step in onboarding.STEPS]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("crashing", STEPS)
def test_a_crash_at_any_step_leaves_a_tenant_that_nobody_sees_and_calling_again_finishes_it(
    selling, monkeypatch, crashing, when
):
    def crash(step):
        def run(tenant, asked):
            if when == "after":
                step(tenant, asked)
            raise RuntimeError("power cut")

        return run

    steps = [crash(step) if step.__name__ == crashing else step for step in onboarding.STEPS]
    with monkeypatch.context() as patched:
        patched.setattr(onboarding, "STEPS", tuple(steps))
        with pytest.raises(RuntimeError):
            services.onboard_tenant(wanted())

    half = tenants.tenant_by_slug("umbrella")
    if crashing == STEPS[-1] and when == "after":
        # All was done; only the answer was lost. The slug is taken, by a whole tenant.
        with pytest.raises(SlugTaken):
            services.onboard_tenant(wanted())
        check_whole(half)
        return
    assert half.state is TenantState.PROVISIONING
    assert not half.is_served
    with pytest.raises(TenantNotReady), in_tenant(half):
        pass

    check_whole(services.onboard_tenant(wanted()))


def test_a_plan_that_does_not_exist_leaves_no_half_made_tenant(selling):
    with pytest.raises(PlanNotFound):
        services.onboard_tenant(wanted(plan="gold"))

    with pytest.raises(TenantNotFound):
        tenants.tenant_by_slug("umbrella")


def test_without_an_owner_nothing_is_begun(selling):
    with pytest.raises(OwnerNeeded):
        services.onboard_tenant(wanted(owner_email="  "))

    assert not Tenant.objects.filter(slug="umbrella").exists()


def test_a_slug_that_is_served_is_taken(selling, acme):
    with pytest.raises(SlugTaken):
        services.onboard_tenant(wanted(slug="acme"))

    with in_tenant(acme):
        assert people.member_by_email("owner@umbrella.example") is None


def test_a_deleted_tenant_leaves_a_last_invoice_up_to_that_moment(selling):
    tenant = services.onboard_tenant(wanted())
    with in_tenant(tenant):
        usage.answered(NOW + timedelta(hours=1))
    ends = NOW + timedelta(days=3)

    deleting = services.delete_tenant(
        tenant, reason="they left", grace=timedelta(days=30), actor=OPERATOR, now=ends
    )

    assert deleting.state is TenantState.DELETING
    period = BillingPeriod.objects.get(tenant_id=tenant.id)
    assert (period.state, period.ends_at) == (PeriodState.CLOSED, ends)
    invoice = Invoice.objects.get(tenant_id=tenant.id)
    # The plan from the 24th to the 27th, all of the period that was, and the call.
    assert (invoice.state, invoice.number is not None) == (InvoiceState.FINALIZING, True)
    assert Statement.objects.get(tenant_id=tenant.id).event_count == 1
    assert selectors.subscription_of(tenant_id=tenant.id) is None


def test_of_two_who_want_the_same_slug_at_once_one_gets_it_and_the_other_is_told(committed):
    slug, outcomes = f"t{uuid4().hex[:10]}", []
    with control_plane():
        services.publish_plan(terms("race"), actor=OPERATOR, now=NOW)

    def want(email):
        try:
            with control_plane():
                outcomes.append(services.onboard_tenant(wanted(slug, plan="race", owner_email=email)))
        except SlugTaken:
            outcomes.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=want, args=(f"{name}@u.example",)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [made] = [outcome for outcome in outcomes if outcome is not None]
    assert len(outcomes) == 2
    with control_plane(), in_tenant(made):
        assert len(people.members()) == 1
