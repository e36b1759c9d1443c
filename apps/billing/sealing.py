"""The hashes that seal a statement. Pure: the same content always has the same hash."""

import hashlib
from collections.abc import Sequence

import orjson

from apps.billing.models import Statement
from apps.billing.types import LineItem

START = bytes(32)  # what the first statement of a tenant follows


def lines_hash(lines: Sequence[LineItem]) -> bytes:
    """SHA-256 over the lines in canonical JSON."""
    content = [
        {
            "position": line.position,
            "kind": line.kind.value,
            "description": line.description,
            "from": line.starts_at.isoformat(),
            "to": line.ends_at.isoformat(),
            "model": line.model,
            "class": line.quantity_class,
            "price_id": str(line.price_id or ""),
            "quantity": line.quantity,
            "amount": f"{line.amount.normalize():f}",
            "amount_minor": line.amount_minor,
        }
        for line in lines
    ]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def statement_hash(statement: Statement) -> bytes:
    """SHA-256 over the statement's content and the hash of the tenant's statement before it."""
    content = {
        "tenant": str(statement.tenant_id),
        "from": statement.period.starts_at.isoformat(),
        "to": statement.period.ends_at.isoformat(),
        "revision": statement.revision,
        "currency": statement.currency,
        "events": statement.event_count,
        "cost": f"{statement.usage_cost.normalize():f}",
        "price": f"{statement.usage_price.normalize():f}",
        "subtotal": f"{statement.subtotal.normalize():f}",
        "events_hash": bytes(statement.events_hash).hex(),
        "lines_hash": bytes(statement.lines_hash).hex(),
    }
    body = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(bytes(statement.previous_hash) + body).digest()
