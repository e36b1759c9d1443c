"""The one decision on what a tenant may use: every question has an answer, and more never means less."""

from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.governance.decision import Access, Reason, decide
from apps.governance.features import FEATURES, FeatureKind, Mode
from apps.governance.types import Entitlements, Standing
from apps.tenancy.types import TenantState

# Anything that a stored snapshot could hold, also what nobody should have written there.
values = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.decimals() | st.lists(st.none())
)
amounts = st.integers(0, 10**18) | st.decimals(0, 10**12, allow_nan=False, allow_infinity=False)
names = st.sampled_from(sorted(FEATURES)) | st.text(max_size=8)
entitlements = st.builds(
    Entitlements,
    standing=st.sampled_from(Standing),
    plan=st.just("p"),
    plan_version=st.just(1),
    currency=st.just("USD"),
    price_list=st.just(uuid4()),
    models=st.just(("*",)),
    features=st.dictionaries(names, values),
    limits=st.dictionaries(names, values),
    origins=st.dictionaries(names, st.sampled_from(["plan", "override", "licence"])),
)
questions = st.fixed_dictionaries(
    {
        "state": st.sampled_from(TenantState),
        "mode": st.sampled_from(Mode),
        "feature": names,
        "access": st.sampled_from(Access),
        "used": amounts,
        "adding": amounts,
    }
)
BOUGHT = Entitlements(Standing.ACTIVE, "business", 3, "USD", uuid4(), ("*",))


def asked(entitled=BOUGHT, **question):
    return decide(entitled, **({"state": TenantState.READY, "mode": Mode.SAAS} | question))


@given(entitlements, questions)
def test_every_question_has_an_answer_with_its_reason(entitled, question):
    decision = decide(entitled, **question)

    assert decision.allowed == (decision.reason is Reason.ALLOWED)
    assert decide(entitled, **question) == decision


@given(entitlements, questions, st.data())
def test_giving_more_never_turns_a_yes_into_a_no(entitled, question, data):
    allowed = decide(entitled, **question).allowed

    more = dict(question)
    match data.draw(st.sampled_from(["state", "standing", "access", "amount", "limit", "feature"])):
        case "state":
            more["state"] = TenantState.READY
        case "standing":
            entitled = replace(entitled, standing=Standing.ACTIVE)
        case "access":
            more["access"] = Access.READ
        case "amount":
            more["adding"] = 0
        case "limit":
            higher = dict.fromkeys(entitled.limits)
            entitled = replace(entitled, limits=higher)
        case "feature":
            entitled = replace(entitled, features=entitled.features | {question["feature"]: True})

    assert decide(entitled, **more).allowed or not allowed


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_higher_limit_allows_whatever_a_lower_one_did(limit, more, used):
    def allowed(bound):
        return asked(replace(BOUGHT, limits={"keys": bound}), feature="keys", used=used).allowed

    assert allowed(limit) == (used <= limit)
    assert allowed(limit + more) or not allowed(limit)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({}, Reason.ALLOWED),
        ({"state": TenantState.DELETING}, Reason.TENANT_NOT_SERVED),
        ({"state": TenantState.SUSPENDED, "access": Access.READ}, Reason.ALLOWED),
        ({"state": TenantState.SUSPENDED, "access": Access.WRITE}, Reason.TENANT_SUSPENDED),
        ({"feature": "sso"}, Reason.FEATURE_NOT_INCLUDED),
        ({"feature": "budgets"}, Reason.ALLOWED),
        ({"feature": "flying"}, Reason.UNKNOWN_FEATURE),
        ({"feature": "online_payment", "mode": Mode.AIR_GAPPED}, Reason.NOT_IN_THIS_MODE),
        ({"feature": "keys", "used": 10**9}, Reason.ALLOWED),
    ],
)
def test_what_is_asked_and_what_is_answered(question, reason):
    assert asked(**question).reason is reason


@pytest.mark.parametrize(
    ("standing", "mode", "reason"),
    [
        (Standing.NONE, Mode.SAAS, Reason.NO_SUBSCRIPTION),
        (Standing.UNPAID, Mode.SAAS, Reason.SUBSCRIPTION_UNPAID),
        (Standing.NONE, Mode.ON_PREM, Reason.NO_LICENCE),
        (Standing.UNPAID, Mode.AIR_GAPPED, Reason.LICENCE_LAPSED),
        (Standing.ACTIVE, Mode.CUSTOMER_CLOUD, Reason.ALLOWED),
    ],
)
def test_calls_need_a_subscription_or_a_licence_and_reading_does_not(standing, mode, reason):
    entitled = replace(BOUGHT, standing=standing)

    assert asked(entitled, mode=mode, access=Access.CALL).reason is reason
    assert asked(entitled, mode=mode, access=Access.READ).allowed


def test_where_a_value_is_from_is_said_with_it():
    entitled = replace(
        BOUGHT,
        features={"sso": True},
        limits={"keys": "5"},
        origins={"features.sso": "override", "limits.members": "override"},
    )

    assert (asked(entitled, feature="sso").value, asked(entitled, feature="sso").origin) == (True, "override")
    assert (asked(entitled, feature="keys").value, asked(entitled, feature="keys").origin) == (
        Decimal(5),
        "plan",
    )
    assert (asked(entitled, feature="members").value, asked(entitled, feature="members").origin) == (
        None,
        "override",
    )
    assert asked(entitled, feature="budgets").origin == "default"


@pytest.mark.parametrize("wrong", ["many", -1, True, [], "NaN"])
def test_a_limit_that_cannot_be_read_lets_nobody_in(wrong):
    refused = asked(replace(BOUGHT, limits={"keys": wrong}), feature="keys", adding=1)

    assert (refused.allowed, refused.reason) == (False, Reason.VALUE_UNREADABLE)


def test_every_feature_says_what_it_gates_and_what_holds_without_it():
    for feature in FEATURES.values():
        assert feature.gates
        if feature.kind is FeatureKind.BOOLEAN:
            assert isinstance(feature.default, bool)
        elif feature.kind is FeatureKind.CONFIG:
            assert feature.default in feature.choices
        else:
            assert feature.default is None
