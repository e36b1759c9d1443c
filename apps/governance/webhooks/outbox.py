"""Writing an event down in the transaction of what it tells of, with a delivery for each endpoint that wants it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from uuid_utils.compat import uuid7

from apps.governance.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from apps.governance.webhooks.events import FIELDS, EventType, wants
from apps.jobs.services import enqueue
from apps.tenancy.selectors import current_tenant


def emit(event_type: EventType | str, payload: Mapping[str, Any]) -> UUID | None:
    """Tell the endpoints of the tenant in force, in the caller's transaction: no change without its event.

    `payload` holds at least the members that `FIELDS` names for the type, and no secret. Returns the event's
    id, or None where no endpoint wants it, and then nothing is written.
    """
    event = _checked(event_type, payload)
    wanted = [
        endpoint.pk
        for endpoint in WebhookEndpoint.objects.filter(disabled_because="").only("id", "events")
        if wants(endpoint.events, event)
    ]
    return write_event(event, payload, wanted) if wanted else None


def write_event(event: EventType, payload: Mapping[str, Any], endpoints: list[UUID]) -> UUID:
    """An event for exactly these endpoints."""
    with transaction.atomic():
        row = WebhookEvent.objects.create(
            id=uuid7(), type=event.value, payload=orjson.loads(orjson.dumps(dict(payload), default=str))
        )
        WebhookDelivery.objects.bulk_create(
            WebhookDelivery(id=uuid7(), event=row, endpoint_id=endpoint, due_at=row.at)
            for endpoint in endpoints
        )
        ask_for_delivery()
    return row.pk


def ask_for_delivery() -> None:
    """Have a worker look for what is due in the tenant in force, once this transaction has committed.

    A ticket for each transaction: one that is shared could be worked off before the later of two commits.
    """
    enqueue("governance.deliver_webhooks", tenant_id=current_tenant().id, queue="webhooks", max_attempts=20)


def _checked(event_type: EventType | str, payload: Mapping[str, Any]) -> EventType:
    event = EventType(event_type)  # a ValueError names what is unknown
    missing = [name for name in FIELDS[event] if name not in payload]
    if missing:
        raise ValueError(f"The event {event} lacks {', '.join(missing)}.")
    return event
