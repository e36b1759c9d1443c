"""Calls as the rows of a table."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.urls import reverse

from apps.ai_usage.insight.types import CallRecord
from apps.ai_usage.portal.words import outcome_words


def call_rows(found: Iterable[CallRecord], names: Mapping[Any, str]) -> list[dict[str, Any]]:
    """What templates/ai_usage/calls_table.html shows."""
    return [call_row(call, names) for call in found]


def call_row(call: CallRecord, names: Mapping[Any, str]) -> dict[str, Any]:
    """One line of the table."""
    word, label = outcome_words(call.outcome)
    return {
        "url": reverse("ai_usage:call", args=[call.id]),
        "started_at": call.started_at,
        "model": call.model,
        "served_by": served_by(call),
        "key_name": names.get(call.key_id) or "Deleted key",
        "status": word,
        "status_label": label,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "duration_ms": call.duration_ms,
        "price": call.price,
        "currency": call.currency,
    }


def served_by(call: CallRecord) -> str:
    """The provider, and its name for the model where that is another."""
    if not call.provider or call.served_model in ("", call.model):
        return call.provider
    return f"{call.served_model} at {call.provider}"
