"""What the ledger's short words are called on a page."""

from apps.ai_usage.insight.types import AttemptRecord, Outcome
from apps.ai_usage.portal.reasons import REASONS
from apps.ai_usage.quantities import QuantityClass

CLASSES = {
    QuantityClass.INPUT: "Input",
    QuantityClass.CACHE_READ: "Cached input",
    QuantityClass.CACHE_WRITE_5M: "Cache writes, 5 minutes",
    QuantityClass.CACHE_WRITE_1H: "Cache writes, 1 hour",
    QuantityClass.AUDIO_INPUT: "Audio input",
    QuantityClass.IMAGE_INPUT: "Image input",
    QuantityClass.OUTPUT: "Output",
    QuantityClass.AUDIO_OUTPUT: "Audio output",
    QuantityClass.REQUESTS: "Provider's tool calls",
    QuantityClass.REASONING: "Reasoning",
}
ENDPOINTS = {
    "chat.completions": "OpenAI chat completions",
    "responses": "OpenAI responses",
    "embeddings": "OpenAI embeddings",
    "messages": "Anthropic messages",
}

# Outcome → the word whose colour fits, and what is written.
OUTCOMES = {
    Outcome.OK: ("ok", "OK"),
    Outcome.REFUSED: ("refused", "Refused"),
    Outcome.FAILED: ("failed", "Failed"),
    Outcome.CLIENT_GONE: ("cancelled", "Client left"),
    Outcome.CUT: ("partial", "Cut off"),
}

# How an attempt ended: what is written on its badge, and a sentence.
_ATTEMPTS = {
    "ok": ("OK", "Answered."),
    "rate_limited": ("Rate limited", "The provider limited our rate."),
    "overloaded": ("Overloaded", "The provider was overloaded."),
    "server_error": ("Provider error", "The provider failed."),
    "timeout": ("Timed out", "The provider did not answer in time."),
    "connect": ("No connection", "The provider could not be reached."),
    "conflict": ("Conflict", "The provider was busy with the same request."),
    "cut": ("Cut off", "The provider's answer broke off."),
    "bad_answer": ("Unusable answer", "What came was not an answer of this kind."),
    "redirect": ("Redirected", "The provider sent us elsewhere, where we do not go."),
    "provider_error": ("Provider error", "The provider ended its stream with an error."),
    "provider_quota": ("Provider's quota", "The operator's quota at this provider is used up."),
    "provider_refused_us": ("Not accepted", "The provider did not accept the operator's credential."),
    "provider_lacks_model": ("No such model", "The provider does not have this model."),
    "context_too_long": ("Too long", "The input is longer than this model takes."),
    "content_policy": ("Content policy", "The provider's content policy refused this."),
    "invalid_request": ("Invalid request", "The provider found the request itself wrong."),
}

_UNITS = {
    "requests_per_minute": "requests a minute",
    "tokens_per_minute": "tokens a minute",
    "spend_per_month": "spend in a month",
    "spend_per_day": "spend in a day",
    "budget_per_month": "budget of a month",
    "budget_per_day": "budget of a day",
    "alert_per_month": "alert on a month's spend",
    "alert_per_day": "alert on a day's spend",
    "shadow_budget_per_month": "budget of a month, tried out",
    "shadow_budget_per_day": "budget of a day, tried out",
    "token_budget_per_month": "tokens of a month",
    "token_budget_per_day": "tokens of a day",
    "token_alert_per_month": "alert on a month's tokens",
    "token_alert_per_day": "alert on a day's tokens",
    "token_shadow_budget_per_month": "tokens of a month, tried out",
    "token_shadow_budget_per_day": "tokens of a day, tried out",
    "concurrent_calls": "calls at once",
}


def class_label(name: str) -> str:
    """A class of quantities as it is called on a page."""
    return CLASSES[QuantityClass(name)] if name in list(QuantityClass) else name


def outcome_words(outcome: str) -> tuple[str, str]:
    """The word that gives an outcome its colour, and its label."""
    return OUTCOMES[Outcome(outcome)] if outcome in list(Outcome) else (outcome, "")


def attempt_words(attempt: AttemptRecord) -> tuple[str, str]:
    """An attempt's badge, and why it ended."""
    label, sentence = _ATTEMPTS.get(attempt.outcome, (attempt.outcome.replace("_", " ").capitalize(), ""))
    if attempt.waited_ms:
        sentence = f"Tried after a pause of {attempt.waited_ms / 1000:.2g} s. {sentence}".strip()
    return label, sentence


def reason(code: str) -> str:
    """Why a call ended as it did, from its code alone."""
    return REASONS.get(code, f"The call ended with {code}." if code else "")


def limit_label(name: str) -> str:
    """`tenant.requests_per_minute` → Tenant: requests a minute."""
    level, _, what = name.partition(".")
    return f"{level.capitalize()}: {_UNITS.get(what, what.replace('_', ' '))}"
