"""What plan, limits and providers refused, in the gateway's own words."""

from typing import TYPE_CHECKING

from apps.ai_usage.gateway.attempts import Failure
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.governance.admission.types import Kind as LimitKind
from apps.governance.admission.types import Refused
from apps.governance.decision import Decision, Reason

if TYPE_CHECKING:
    from apps.ai_usage.gateway.snapshots import TenantSnapshot

# What a decision says → kind, code and words; `{}` is why a tenant is suspended.
_BY_PLAN = {
    Reason.TENANT_NOT_SERVED: (
        Kind.PERMISSION,
        "tenant_not_served",
        "This tenant is not served any more. Contact the operator.",
    ),
    Reason.TENANT_SUSPENDED: (
        Kind.PERMISSION,
        "tenant_suspended",
        "This tenant is suspended: {} Contact the operator.",
    ),
    Reason.NO_SUBSCRIPTION: (
        Kind.UNPAID,
        "no_subscription",
        "This tenant has no plan. Subscribe to one first.",
    ),
    Reason.SUBSCRIPTION_UNPAID: (
        Kind.UNPAID,
        "subscription_unpaid",
        "The subscription is not paid. Pay the open invoice to go on.",
    ),
    Reason.NO_LICENCE: (Kind.UNPAID, "no_licence", "There is no licence here. Install one first."),
    Reason.LICENCE_LAPSED: (
        Kind.UNPAID,
        "licence_lapsed",
        "The licence has run out. Install a new one to go on.",
    ),
}


def refused_by_plan(decision: Decision, snapshot: "TenantSnapshot") -> Refusal:
    """What standing or plan do not allow, in the gateway's terms."""
    known = _BY_PLAN.get(decision.reason)
    if known is not None:
        kind, code, said = known
        return Refusal(kind, code, said.format(snapshot.suspended_reason))
    return Refusal(
        Kind.PERMISSION,
        "feature_not_included",
        f"The plan {snapshot.entitlements.plan or '(none)'} does not include {decision.feature}. "
        "Ask for a plan that does.",
    )


def refused_by_limit(refused: Refused) -> Refusal:
    """A limit's refusal in the gateway's terms."""
    name = refused.limit.name
    headers = ((b"x-lockstep-limit", name.encode()),)
    if refused.limit.kind is LimitKind.BUDGET:
        return Refusal(
            Kind.QUOTA, "budget_exhausted", refused.message, retry_after=refused.retry_after, headers=headers
        )
    return Refusal(
        Kind.RATE, refused.code.value, refused.message, retry_after=refused.retry_after, headers=headers
    )


def exhausted(last: tuple[Failure, str] | None) -> Refusal:
    """What to say when no target answered: the last failure's kind, never a provider's inner words."""
    if last is None:
        return Refusal(
            Kind.UPSTREAM_BUSY,
            "no_target_available",
            "Every provider of this model is failing right now. Try again shortly.",
            retry_after=5,
        )
    failure, _ = last
    kinds = {
        "rate_limited": (Kind.UPSTREAM_BUSY, "provider_rate_limited", "The provider is limiting our rate."),
        "overloaded": (Kind.UPSTREAM_BUSY, "provider_overloaded", "The provider is overloaded."),
        "timeout": (Kind.UPSTREAM_TIMEOUT, "provider_timeout", "The provider did not answer in time."),
        "context_too_long": (
            Kind.INVALID,
            "context_length_exceeded",
            "The input is longer than this model can take.",
        ),
        "content_policy": (
            Kind.INVALID,
            "content_policy_violation",
            "The provider's content policy refused this.",
        ),
        "provider_lacks_model": (
            Kind.UPSTREAM,
            "provider_lacks_model",
            "The provider does not have this model.",
        ),
        "provider_refused_us": (
            Kind.UPSTREAM,
            "provider_refused_us",
            "The provider did not accept our credential.",
        ),
        "provider_quota": (
            Kind.UPSTREAM,
            "provider_quota",
            "The operator's quota at the provider is used up.",
        ),
    }
    kind, code, said = kinds.get(
        failure.outcome, (Kind.UPSTREAM, "provider_failed", "The provider failed to answer.")
    )
    if kind is not Kind.INVALID:
        said += " Try again shortly."
    return Refusal(kind, code, said, retry_after=failure.retry_after)
