"""What a tenant may use, resolved."""

from datetime import timedelta
from uuid import uuid4

import pytest

from apps.billing.entitlements import resolve, standing_of
from apps.billing.errors import InvalidOverride
from apps.billing.types import Override, PlanInfo, SubscriptionState
from apps.governance.types import NOTHING_BOUGHT, Standing
from tests.factories.selling import NOW, terms

PLAN = PlanInfo(id=uuid4(), number=3, price_list=uuid4(), published_at=NOW, terms=terms())


def resolved(*overrides, state=SubscriptionState.ACTIVE):
    return resolve(PLAN, state, overrides, now=NOW)


def test_without_exceptions_everything_is_the_plans():
    found = resolved()

    assert (found.plan, found.plan_version, found.price_list) == ("solo", 3, PLAN.price_list)
    assert (found.currency, found.models, found.features) == ("USD", ("north-small",), {"sso": False})
    assert found.limits == PLAN.terms.limits
    assert set(found.origins.values()) == {"plan"}


def test_an_exception_takes_the_place_of_the_plans_value_and_says_so():
    found = resolved(
        Override("features.sso", True), Override("limits.keys", 9), Override("limits.members", None)
    )

    assert found.features == {"sso": True}
    assert found.limits["keys"] == 9
    assert "members" not in found.limits
    assert {name for name, origin in found.origins.items() if origin == "override"} == {
        "features.sso",
        "limits.keys",
        "limits.members",
    }


def test_an_exception_counts_until_its_last_instant_and_not_in_it():
    assert resolved(Override("limits.keys", 9, NOW + timedelta(microseconds=1))).limits["keys"] == 9
    assert resolved(Override("limits.keys", 9, NOW)).limits["keys"] == 5


def test_nothing_bought_is_nothing_allowed():
    assert resolve(None, SubscriptionState.ACTIVE, (), now=NOW) == NOTHING_BOUGHT


def test_every_state_of_a_subscription_has_an_answer():
    assert {state: standing_of(state) for state in SubscriptionState} == {
        SubscriptionState.INCOMPLETE: Standing.NONE,
        SubscriptionState.TRIALING: Standing.ACTIVE,
        SubscriptionState.ACTIVE: Standing.ACTIVE,
        SubscriptionState.PAST_DUE: Standing.ACTIVE,
        SubscriptionState.UNPAID: Standing.UNPAID,
        SubscriptionState.PAUSED: Standing.UNPAID,
        SubscriptionState.CANCELED: Standing.NONE,
    }


@pytest.mark.parametrize(
    "wrong",
    [Override("features.sso", 1), Override("limits.keys", True), Override("keys", 5), Override("limits.", 5)],
)
def test_an_exception_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(InvalidOverride):
        resolved(wrong)
