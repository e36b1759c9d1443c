"""What a tenant may use now, from what it bought, how the subscription stands, and its exceptions. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from apps.billing.errors import InvalidOverride
from apps.billing.types import Override, PlanInfo, SubscriptionState
from apps.governance.decision import grant
from apps.governance.features import BY_PATH, FEATURES, FeatureKind, value_problem
from apps.governance.types import NOTHING_BOUGHT, Entitlements, Standing

_STANDING = {
    SubscriptionState.INCOMPLETE: Standing.NONE,
    SubscriptionState.TRIALING: Standing.ACTIVE,
    SubscriptionState.ACTIVE: Standing.ACTIVE,
    # The payment is being tried again; the subscription becomes unpaid when that has failed for good.
    SubscriptionState.PAST_DUE: Standing.ACTIVE,
    SubscriptionState.UNPAID: Standing.UNPAID,
    SubscriptionState.PAUSED: Standing.UNPAID,
    SubscriptionState.CANCELED: Standing.NONE,
}
_FEATURES, _LIMITS = "features.", "limits."


def standing_of(state: SubscriptionState) -> Standing:
    """What a subscription's state lets model calls do."""
    return _STANDING[state]


def resolve(
    plan: PlanInfo | None, state: SubscriptionState, overrides: Iterable[Override], *, now: datetime
) -> Entitlements:
    """The plan's grants, with each exception that still counts in place of the plan's value, and where each
    is from."""
    if plan is None:
        return NOTHING_BOUGHT
    features, limits = dict(plan.terms.features), dict(plan.terms.limits)
    origins = dict.fromkeys((*map(_FEATURES.__add__, features), *map(_LIMITS.__add__, limits)), "plan")
    for override in overrides:
        if override.expires_at is not None and override.expires_at <= now:
            continue
        check_override(override)
        if override.name.startswith(_FEATURES):
            assert isinstance(override.value, bool | str)  # check_override
            features[override.name.removeprefix(_FEATURES)] = override.value
        elif override.value is None:
            limits.pop(override.name.removeprefix(_LIMITS), None)
        else:
            limits[override.name.removeprefix(_LIMITS)] = override.value
        origins[override.name] = "override"
    resolved = Entitlements(
        standing=standing_of(state),
        plan=plan.terms.name,
        plan_version=plan.number,
        currency=plan.terms.currency,
        price_list=plan.price_list,
        models=plan.terms.models,
        features=features,
        limits=limits,
        origins=origins,
    )
    fails_open = grant(resolved, FEATURES["throughput_without_valkey"]).value == "open"
    return replace(resolved, throughput_fails_open=fails_open)


def check_override(override: Override) -> None:
    """A feature is true or false, or one of its choices; a limit is what the plan's could be, or None."""
    feature = BY_PATH.get(override.name)
    if feature is None:
        raise InvalidOverride(override.name, f"there is {', '.join(sorted(BY_PATH))}")
    if feature.kind in (FeatureKind.BOOLEAN, FeatureKind.CONFIG):
        problem = value_problem(feature, override.value)
        if problem:
            raise InvalidOverride(override.name, f"it {problem}")
    elif isinstance(override.value, bool) or not (override.value is None or str(override.value)):
        raise InvalidOverride(override.name, "a limit is a number, or nothing for unlimited")
