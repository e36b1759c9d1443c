"""The one decision on what a tenant may use: pure, total, and always with a reason."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from apps.governance.features import FEATURES, Feature, FeatureKind, Mode
from apps.governance.types import Entitlements, Standing
from apps.tenancy.types import TenantState


class Access(StrEnum):
    """What somebody is about to do, the mildest first."""

    READ = "read"  # look at what there is
    WRITE = "write"  # change it
    CALL = "call"  # have a model called, which costs money


class Reason(StrEnum):
    """Stable codes of the decision."""

    ALLOWED = "allowed"
    TENANT_NOT_SERVED = "tenant_not_served"
    TENANT_SUSPENDED = "tenant_suspended"
    NO_SUBSCRIPTION = "no_subscription"
    SUBSCRIPTION_UNPAID = "subscription_unpaid"
    NO_LICENCE = "no_licence"
    LICENCE_LAPSED = "licence_lapsed"
    UNKNOWN_FEATURE = "unknown_feature"
    NOT_IN_THIS_MODE = "not_in_this_mode"
    FEATURE_NOT_INCLUDED = "feature_not_included"
    LIMIT_REACHED = "limit_reached"
    VALUE_UNREADABLE = "value_unreadable"  # what is stored is no value of the feature's kind


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be, why, and where the value that decided is from ("plan", "override", "licence", "default")."""

    allowed: bool
    reason: Reason
    feature: str = ""
    value: bool | str | int | Decimal | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """One feature as a tenant has it now."""

    feature: Feature
    value: bool | str | Decimal | None
    origin: str
    readable: bool = True


def decide(
    entitlements: Entitlements,
    *,
    state: TenantState,
    mode: Mode,
    feature: str = "",
    access: Access = Access.READ,
    used: int | Decimal = 0,
    adding: int | Decimal = 0,
) -> Decision:
    """May a tenant in this state do this, in this mode? `used` and `adding` are asked of limits alone.

    Whatever is given there is an answer. Giving a tenant more (a feature, a higher limit, a better standing) never
    turns a yes into a no.
    """
    if state not in (TenantState.READY, TenantState.SUSPENDED):
        return Decision(False, Reason.TENANT_NOT_SERVED)
    if state is TenantState.SUSPENDED and access is not Access.READ:
        return Decision(False, Reason.TENANT_SUSPENDED)
    if access is Access.CALL and entitlements.standing is not Standing.ACTIVE:
        return Decision(False, _STANDING[entitlements.standing, mode.is_licensed])
    if not feature:
        return Decision(True, Reason.ALLOWED)
    known = FEATURES.get(feature)
    if known is None:
        return Decision(False, Reason.UNKNOWN_FEATURE, feature)
    if mode not in known.modes:
        return Decision(False, Reason.NOT_IN_THIS_MODE, feature)
    granted = grant(entitlements, known)
    reason = _of_value(granted, used, adding)
    return Decision(reason is Reason.ALLOWED, reason, feature, granted.value, granted.origin)


def grant(entitlements: Entitlements, feature: Feature) -> Granted:
    """What a tenant has of a feature, and where that is from. A value of another kind grants nothing."""
    stored = entitlements.features if feature.section == "features" else entitlements.limits
    if feature.name not in stored:
        # A limit that an exception has lifted is not in the snapshot any more; its origin is.
        origin = entitlements.origins.get(feature.path, "default")
        return Granted(feature, feature.default, origin)
    value = stored[feature.name]
    origin = entitlements.origins.get(feature.path, "plan")
    if feature.kind is FeatureKind.BOOLEAN:
        return Granted(feature, value is True, origin, isinstance(value, bool))
    if feature.kind is FeatureKind.CONFIG:
        fits = isinstance(value, str) and value in feature.choices
        return Granted(feature, str(value) if fits else feature.default, origin, fits)
    if value is None:
        return Granted(feature, None, origin)
    number = _number(value)
    return Granted(feature, number if number is not None else Decimal(0), origin, number is not None)


_STANDING = {
    (Standing.NONE, False): Reason.NO_SUBSCRIPTION,
    (Standing.NONE, True): Reason.NO_LICENCE,
    (Standing.UNPAID, False): Reason.SUBSCRIPTION_UNPAID,
    (Standing.UNPAID, True): Reason.LICENCE_LAPSED,
}


def _of_value(granted: Granted, used: int | Decimal, adding: int | Decimal) -> Reason:
    if not granted.readable and granted.feature.kind is not FeatureKind.CONFIG:
        return Reason.VALUE_UNREADABLE
    if granted.feature.kind is FeatureKind.BOOLEAN:
        return Reason.ALLOWED if granted.value else Reason.FEATURE_NOT_INCLUDED
    if granted.feature.section == "limits" and isinstance(granted.value, Decimal):
        return Reason.ALLOWED if used + adding <= granted.value else Reason.LIMIT_REACHED
    return Reason.ALLOWED


def _number(value: object) -> Decimal | None:
    """The number that a stored limit is; None where it is none, or is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None
