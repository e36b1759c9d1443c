"""Publishing plans, and that whoever bought one is where it says with the next request."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from apps.ai_usage.models import CostRate, PriceRate, Provider
from apps.billing import selectors, services
from apps.billing.errors import AlreadySubscribed, CurrencyFixed, InvalidPlan, NotSubscribed, PlanNotFound
from apps.billing.models import PlanVersion, Subscription
from apps.billing.types import Override, SubscriptionState
from apps.governance import selectors as governance
from apps.governance.types import Standing
from apps.jobs.models import WorkTicket
from apps.tenancy.services import in_tenant
from tests.factories.selling import NOW, OPERATOR, terms

LATER = NOW + timedelta(hours=1)


def entitled(tenant):
    with in_tenant(tenant):
        return governance.entitlements()


def test_a_subscription_publishes_what_the_plan_grants(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)

    found = entitled(acme)
    assert (found.plan, found.plan_version, found.standing) == ("solo", 1, Standing.ACTIVE)
    assert found.limits["requests_per_minute"] == 60
    assert found.price_list == selectors.newest_plan("solo").price_list


def test_subscribing_again_to_the_same_plan_changes_nothing_and_to_another_is_refused(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=LATER)

    with pytest.raises(AlreadySubscribed):
        services.subscribe(acme, plan="team", actor=OPERATOR, now=LATER)

    assert Subscription.objects.filter(tenant_id=acme.id).count() == 1


def test_a_plan_that_does_not_exist_is_refused_before_anything_happens(selling, acme):
    with pytest.raises(PlanNotFound):
        services.subscribe(acme, plan="gold", actor=OPERATOR, now=NOW)

    assert selectors.subscription_of(tenant_id=acme.id) is None


def test_lowered_limits_reach_every_subscriber_and_nobody_else(selling, acme, globex):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)
    services.subscribe(globex, plan="team", actor=OPERATOR, now=NOW)

    services.publish_plan(terms(limits={"requests_per_minute": 1}), actor=OPERATOR, now=LATER)
    moved = services.move_subscribers("solo", now=LATER)

    assert moved == 1
    assert entitled(acme).limits == {"requests_per_minute": 1}
    assert entitled(acme).plan_version == 2
    assert entitled(globex).plan_version == 1


def test_a_version_with_the_same_markup_keeps_its_price_list_and_another_markup_builds_a_new_one(selling):
    first = selectors.newest_plan("solo")

    second, _ = services.publish_plan(terms(limits={}), actor=OPERATOR, now=LATER)
    third, _ = services.publish_plan(
        terms(limits={}, markup_percent=Decimal("33.3333")), actor=OPERATOR, now=LATER
    )

    assert first.price_list == second.price_list != third.price_list
    price = PriceRate.objects.get(
        price_list=third.price_list, cost_rate__provider__name="north", cost_rate__quantity_class="cache_read"
    )
    # 0.075 x 1.333333 = 0.099999975, rounded once to six decimals.
    assert price.price_per_million == Decimal("0.100000")


def test_the_same_terms_again_make_no_version(selling):
    published, is_new = services.publish_plan(terms(), actor=OPERATOR, now=LATER)

    assert (published.number, is_new) == (1, False)


def test_a_crash_between_publishing_and_moving_is_made_good_by_a_ticket(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)
    WorkTicket.objects.filter(kind="billing.move_subscribers").delete()

    services.publish_plan(terms(limits={"keys": 1}), actor=OPERATOR, now=LATER)

    ticket = WorkTicket.objects.get(kind="billing.move_subscribers")
    assert (ticket.queue, ticket.payload) == ("billing", {"plan": "solo"})
    assert services.move_subscribers(ticket.payload["plan"], now=LATER) == 1
    assert services.move_subscribers(ticket.payload["plan"], now=LATER) == 0


def test_a_cost_row_made_later_is_sold_on_every_plan_in_use(selling):
    row = CostRate.objects.create(
        provider=Provider.objects.get(name="north"),
        model="north-large-1",
        quantity_class="input",
        cost_per_million=Decimal(1),
        valid_from=NOW,
    )

    services.publish_new_rates()

    prices = {
        plan.terms.name: PriceRate.objects.get(price_list=plan.price_list, cost_rate=row).price_per_million
        for plan in selectors.newest_plans()
    }
    assert prices == {"solo": Decimal("1.2"), "team": Decimal("1.1")}


def test_another_plan_begins_where_the_old_one_ends(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)

    assert services.set_plan(acme, plan="team", actor=OPERATOR, now=LATER)
    assert not services.set_plan(acme, plan="team", actor=OPERATOR, now=LATER)

    rows = Subscription.objects.filter(tenant_id=acme.id).order_by("started_at")
    assert [(row.plan_version.plan.name, row.started_at, row.ended_at) for row in rows] == [
        ("solo", NOW, LATER),
        ("team", LATER, None),
    ]
    assert entitled(acme).features == {"sso": True}


def test_a_tenant_without_a_subscription_has_no_plan_to_change(selling, acme):
    with pytest.raises(NotSubscribed):
        services.set_plan(acme, plan="team", actor=OPERATOR, now=NOW)


def test_a_plan_in_another_currency_is_refused_for_who_is_invoiced_already(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)
    services.publish_plan(terms("euro", currency="EUR"), actor=OPERATOR, now=NOW)

    with pytest.raises(CurrencyFixed):
        services.set_plan(acme, plan="euro", actor=OPERATOR, now=LATER)
    with pytest.raises(InvalidPlan):
        services.publish_plan(terms(currency="EUR"), actor=OPERATOR, now=LATER)

    assert entitled(acme).currency == "USD"


@pytest.mark.parametrize(
    ("state", "standing"),
    [(SubscriptionState.UNPAID, Standing.UNPAID), (SubscriptionState.PAUSED, Standing.UNPAID)],
)
def test_what_the_subscription_is_decides_what_calls_may_do(selling, acme, state, standing):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)

    services.set_state(acme, state, reason="the card failed", actor=OPERATOR, now=LATER)

    assert entitled(acme).standing is standing
    with in_tenant(acme):
        [entry] = [one for one in governance.audit_log() if one.action == "subscription.state_changed"]
    assert entry.details == {"before": "active", "after": state.value, "reason": "the card failed"}


def test_an_exception_holds_until_it_is_noticed_to_have_run_out(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)

    services.set_override(acme, Override("limits.keys", 50, LATER), reason="trial", actor=OPERATOR, now=NOW)
    during = entitled(acme)
    services.close_due_periods(now=LATER)

    assert (during.limits["keys"], during.origins["limits.keys"]) == (50, "override")
    assert (entitled(acme).limits["keys"], entitled(acme).origins["limits.keys"]) == (5, "plan")


def test_an_exception_can_be_replaced_and_taken_back(selling, acme):
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)
    services.set_override(acme, Override("limits.keys", 50), reason="a", actor=OPERATOR, now=NOW)
    services.set_override(acme, Override("limits.keys", 60), reason="b", actor=OPERATOR, now=LATER)
    assert entitled(acme).limits["keys"] == 60

    assert services.end_override(acme, "limits.keys", actor=OPERATOR, now=LATER)
    assert not services.end_override(acme, "limits.keys", actor=OPERATOR, now=LATER)

    assert entitled(acme).limits["keys"] == 5


def test_a_published_version_cannot_be_edited_or_removed_not_even_by_its_owner(selling):
    version = PlanVersion.objects.filter(plan__name="solo")

    with pytest.raises(DatabaseError), transaction.atomic():
        version.update(price_per_month=0)
    with pytest.raises(DatabaseError), transaction.atomic():
        version.delete()

    assert version.get().price_per_month == Decimal(20)
