"""One call as its page shows it."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse

from apps.ai_usage.insight.types import (
    AppliedLimit,
    AttemptRecord,
    CallDetail,
    CallRecord,
    Explanation,
    UsageRecord,
)
from apps.ai_usage.portal.words import (
    ENDPOINTS,
    attempt_words,
    class_label,
    limit_label,
    outcome_words,
    reason,
)
from apps.governance.content.reading import is_kept
from apps.identity.types import Member
from apps.keys.selectors import key_names, owner_names


def detail_context(found: CallDetail, member: Member) -> dict[str, Any]:
    """What templates/ai_usage/call_detail.html shows."""
    call = found.call
    return {
        "call": _call(found, member),
        "quantities": [line for used in found.usage for line in _lines(used, len(found.usage) > 1)],
        "attempts": [_attempt(attempt, call) for attempt in found.attempts],
        "rules": list(_rules(found)),
        "urls": {"calls": reverse("ai_usage:calls"), "content": _content_url(call, member)},
    }


def _content_url(call: CallRecord, member: Member) -> str:
    """Where what was kept of the call is read; empty where nothing is, or not by this member."""
    if "content:read" not in member.scopes or not is_kept(call.id):
        return ""
    return reverse("ai_usage:call-content", args=[call.id])


def _call(found: CallDetail, member: Member) -> dict[str, Any]:
    call, why = found.call, found.explanation
    word, label = outcome_words(call.outcome)
    said = why.refusal or reason(call.error_code)
    return {
        "id": call.id,
        "request_id": str(call.id),
        "status": word,
        "status_label": label,
        "reason": said if call.outcome in ("refused", "failed") else _unusual(call),
        "reason_tone": "bad" if call.outcome in ("refused", "failed") else "warn",
        "reason_code": call.error_code,
        "http_status": call.status,
        "started_at": call.started_at,
        "duration_ms": call.duration_ms,
        "first_byte_ms": call.first_byte_ms,
        "surface": ENDPOINTS.get(call.endpoint, call.endpoint),
        "streamed": call.stream,
        "requested_model": call.model,
        # A provider that was asked in vain served nothing.
        "served_model": call.served_model if found.usage else "",
        "provider": call.provider,
        "key": _key(call, member),
        "owner": owner_names([call.owner_id]).get(call.owner_id, "") if call.owner_id else "",
        "environment": call.environment,
        "provider_request_id": found.attempts[-1].provider_request_id if found.attempts else "",
        "usage_source": call.usage_source,
        "price": call.price,
        "currency": call.currency,
        "tags": [f"{name}: {value}" for name, value in call.tags.items()],
    }


def _unusual(call: CallRecord) -> str:
    if call.outcome == "client_gone":
        return "The client left before the answer was complete."
    if call.outcome == "cut":
        return "The provider's stream broke off. What had come until then is charged."
    return ""


def _key(call: CallRecord, member: Member) -> dict[str, Any]:
    name = key_names([call.key_id]).get(call.key_id) if call.key_id else None
    if name is None:
        return {"name": "Deleted key", "url": ""}
    may_look = "keys:read" in member.scopes
    return {"name": name, "url": reverse("keys:detail", args=[call.key_id]) if may_look else ""}


def _lines(used: UsageRecord, is_one_of_several: bool) -> Iterator[dict[str, Any]]:
    note = ""
    if used.is_lost:
        note = "Of an answer that never arrived, so not charged"
    elif used.kind != "usage":
        note = "Correction"
    elif is_one_of_several:
        note = f"{used.served_model} at {used.provider}"
    for line in used.lines:
        yield {
            "label": class_label(line.quantity_class),
            "quantity": line.quantity,
            "rate_per_million": line.price_per_million,
            "amount": line.price,
            "note": note,
        }


def _attempt(attempt: AttemptRecord, call: CallRecord) -> dict[str, Any]:
    label, ended = attempt_words(attempt)
    offset = min(_milliseconds(attempt.started_at, call.started_at), call.duration_ms)
    # A stream's attempt was timed from the call's beginning.
    duration = min(attempt.duration_ms, max(call.duration_ms - offset, 0))
    failed = attempt.outcome != "ok"
    return {
        "target": attempt.target,
        "outcome": "failed" if failed else "ok",
        "outcome_label": label,
        "failed": failed,
        "status": attempt.status,
        "offset_ms": offset,
        "duration_ms": duration,
        "first_byte_ms": min(attempt.first_byte_ms, duration) if attempt.first_byte_ms is not None else None,
        "ended": ended,
    }


def _milliseconds(moment: datetime, since: datetime) -> int:
    return max(0, round((moment - since).total_seconds() * 1000))


def _rules(found: CallDetail) -> Iterator[dict[str, str]]:
    """What admission looked at, in words, in its order."""
    why, currency = found.explanation, found.call.currency
    for limit in why.limits:
        yield {"name": limit_label(limit.name), "answer": "allowed", "detail": _left(limit, currency)}
    if why.granted_output_tokens is not None:
        yield {
            "name": "Output",
            "answer": "clamped",
            "detail": f"{why.granted_output_tokens:,} tokens instead of {why.asked_output_tokens:,}, "
            "the most that a budget had room for.",
        }
    for shadow in why.shadowed:
        yield {
            "name": f"Policy in shadow ({shadow.level.replace('_', ' ')}, version {shadow.version})",
            "answer": "would refuse",
            "detail": f"{shadow.said[:1].upper()}{shadow.said[1:]}.",
        }
    yield from _prompt(why)
    yield from _boundary(why)
    yield from _routing(why)
    for name in why.would_have_refused:
        yield {
            "name": limit_label(name),
            "answer": "shadow",
            "detail": "Would have refused this call; it is only tried out.",
        }
    if why.checked_without_valkey:
        yield {
            "name": "Throughput",
            "answer": "unchecked",
            "detail": "The counters were away; the plan lets calls through then.",
        }


def _prompt(why: Explanation) -> Iterator[dict[str, str]]:
    if why.prompt is not None:
        detail = f"{why.prompt['slug']}, version {why.prompt['version']}, approved."
        yield {"name": "Prompt", "answer": "allowed", "detail": detail}


def _boundary(why: Explanation) -> Iterator[dict[str, str]]:
    for direction, counts in why.found.items():
        stopped = [kind for kind in counts if kind in why.blocked]
        found = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        yield {
            "name": f"Data boundary, {direction}",
            "answer": "refused" if stopped else "allowed",
            "detail": f"Found {found}." + (f" Blocked for {', '.join(stopped)}." if stopped else ""),
        }
    for direction in why.uninspected:
        yield {
            "name": f"Data boundary, {direction}",
            "answer": "unchecked",
            "detail": "Could not be inspected; the policy lets it through then.",
        }


def _routing(why: Explanation) -> Iterator[dict[str, str]]:
    if len(why.targets) > 1:
        yield {"name": "Route", "answer": "allowed", "detail": f"Could go to {', '.join(why.targets)}."}
    for target in why.skipped:
        yield {"name": "Route", "answer": "skipped", "detail": f"{target} kept failing and was left alone."}


def _left(limit: AppliedLimit, currency: str) -> str:
    if limit.unit == "money":
        whole = f"{_amount(limit.limit)} {currency}"
        return f"{_amount(limit.left)} of {whole} left, what calls under way hold taken off."
    return f"{limit.left:,f} of {limit.limit:,f} left."


def _amount(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
