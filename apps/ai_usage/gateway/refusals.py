"""What limits and providers refused, in the gateway's own words."""

from apps.ai_usage.gateway.attempts import Failure
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.governance.admission.types import Kind as LimitKind
from apps.governance.admission.types import Refused


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
