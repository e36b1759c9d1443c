"""Calls with their attempts and usage, written to a tenant's ledger by the statement the gateway uses."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from django.db import connection
from uuid_utils.compat import uuid7

from apps.ai_usage import rollups
from apps.ai_usage.ledger.records import Record, batch_parameters, insert_statement
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import in_tenant
from tests.planes import control_plane

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
KEY = UUID("01938c5e-7b1f-7d3a-9c55-0d2f1c7e9a10")
OWNER = UUID("01938c5e-0c4b-7e90-b1f1-6a5d0f0d3c21")
RATES = UUID("01938c5e-0000-7000-8000-000000000001")


def line(
    quantity_class: str, quantity: int, price_per_million: str, *, cost_per_million: str = "0.10"
) -> dict[str, Any]:
    """One line of an event, as pricing stores it: what the operator pays is in it too."""
    rate_id = uuid5(RATES, f"{quantity_class} {cost_per_million}")
    return {
        "class": quantity_class,
        "quantity": quantity,
        "rate_id": str(rate_id),
        "price_id": str(uuid5(rate_id, price_per_million)),
        "cost_per_million": cost_per_million,
        "price_per_million": price_per_million,
        "cost": str(Decimal(cost_per_million) * quantity / 10**6),
        "price": str(Decimal(price_per_million) * quantity / 10**6),
    }


def event(call: dict[str, Any], lines: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """What one attempt of a call consumed."""
    inputs = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")
    taken = sum(each["quantity"] for each in lines if each["class"] in inputs)
    given = sum(each["quantity"] for each in lines if each["class"] in ("output", "audio_output"))
    shared = ("key_id", "owner_kind", "owner_id", "environment", "model", "currency")
    return {name: call[name] for name in shared} | {
        "id": uuid7(),
        "call_id": call["id"],
        "kind": "usage",
        "corrects": None,
        "occurred_at": call["started_at"],
        "provider": "openai",
        "served_model": call["model"],
        "input_tokens": taken,
        "output_tokens": given,
        "lines": list(lines),
        "cost": str(sum(Decimal(each["cost"]) for each in lines)),
        "price": str(sum(Decimal(each["price"]) for each in lines)),
        "price_list": None,
        "usage_source": "provider",
        "anomaly": "",
        "raw_usage": {"prompt_tokens": taken, "secret_cost": "0.99"},
        "provider_request_id": "req_1",
    } | changes  # fmt: skip


def attempt(call: dict[str, Any], number: int = 1, **changes: Any) -> dict[str, Any]:
    """One try of a call."""
    return {
        "id": uuid7(),
        "call_id": call["id"],
        "number": number,
        "provider": "openai",
        "model": call["model"],
        "started_at": call["started_at"],
        "status": 200,
        "outcome": "ok",
        "error": "",
        "waited_ms": 0,
        "duration_ms": 100,
        "first_byte_ms": 40,
        "provider_request_id": "req_1",
    } | changes


def call_row(at: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """A call that was answered."""
    return {
        "id": uuid7(),
        "started_at": at,
        "key_id": KEY,
        "owner_kind": "service_account",
        "owner_id": OWNER,
        "environment": "live",
        "endpoint": "chat.completions",
        "model": "gpt-4o-mini",
        "stream": False,
        "status": 200,
        "outcome": "ok",
        "error_code": "",
        "duration_ms": 120,
        "first_byte_ms": None,
        "attempts": 1,
        "provider": "openai",
        "served_model": "gpt-4o-mini",
        "input_tokens": 0,
        "output_tokens": 0,
        "cost": "0",
        "price": "0",
        "currency": "USD",
        "usage_source": "",
        "tags": {},
        "explanation": {},
    } | changes


def answered(
    at: datetime = NOW, lines: Sequence[dict[str, Any]] = (), *, store: bool = True, **changes: Any
) -> Record:
    """A call that consumed something: 1,000 tokens in, 200 out, unless lines are given."""
    used = lines or (line("input", 1000, "0.18", cost_per_million="0.15"), line("output", 200, "0.72"))
    call = call_row(at, usage_source="provider", **changes)
    consumed = event(call, used)
    call |= {name: consumed[name] for name in ("input_tokens", "output_tokens", "cost", "price")}
    record = Record(current_tenant(), call, [attempt(call)], [consumed])
    if store:
        store_records([record])
    return record


def refused(at: datetime = NOW, *, store: bool = True, **changes: Any) -> Record:
    """A call that a limit refused."""
    call = call_row(
        at,
        **{
            "status": 429, "outcome": "refused", "error_code": "budget_exhausted", "attempts": 0,
            "provider": "", "served_model": "", "duration_ms": 2,
        }
        | changes,
    )  # fmt: skip
    record = Record(current_tenant(), call)
    if store:
        store_records([record])
    return record


def store_records(records: Sequence[Record]) -> None:
    """Write records as the gateway's recorder does."""
    with connection.cursor() as cursor:
        cursor.execute(insert_statement(current_tenant().schema), batch_parameters(list(records)))


def roll_up() -> int:
    """Count what waits, as billing's worker does; returns how many events that were."""
    tenant = current_tenant()
    with control_plane(), in_tenant(tenant):
        return len(rollups.count_pending())


def hours(count: float) -> timedelta:
    """So many hours."""
    return timedelta(hours=count)
