"""Reading endpoints and deliveries of the tenant in force."""

from datetime import datetime
from uuid import UUID

from django.utils import timezone

from apps.governance.errors import WebhookNotFound
from apps.governance.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from apps.governance.webhooks.types import Delivery, Endpoint


def webhook_endpoints(*, before: UUID | None = None, limit: int = 50) -> list[Endpoint]:
    """Endpoints, newest first."""
    rows = WebhookEndpoint.objects.order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    return [endpoint_record(row) for row in rows[:limit]]


def webhook_endpoint(endpoint_id: UUID) -> Endpoint:
    """One endpoint; WebhookNotFound otherwise."""
    row = WebhookEndpoint.objects.filter(pk=endpoint_id).first()
    if row is None:
        raise WebhookNotFound
    return endpoint_record(row)


def webhook_deliveries(
    endpoint_id: UUID, *, before: UUID | None = None, state: str = "", limit: int = 50
) -> list[Delivery]:
    """What an endpoint was or will be told, newest first."""
    rows = WebhookDelivery.objects.filter(endpoint_id=endpoint_id).select_related("event").order_by("-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    if state:
        rows = rows.filter(state=state)
    return [_delivery(row) for row in rows[:limit]]


def webhook_delivery(endpoint_id: UUID, delivery_id: UUID) -> Delivery:
    """One delivery of an endpoint; WebhookNotFound otherwise."""
    row = (
        WebhookDelivery.objects.filter(pk=delivery_id, endpoint_id=endpoint_id)
        .select_related("event")
        .first()
    )
    if row is None:
        raise WebhookNotFound
    return _delivery(row)


def endpoint_record(row: WebhookEndpoint, now: datetime | None = None) -> Endpoint:
    """An endpoint as shown."""
    until = row.previous_until
    return Endpoint(
        id=row.pk,
        url=row.url,
        description=row.description,
        events=tuple(row.events),
        state="disabled" if row.disabled_because else "enabled",
        disabled_because=row.disabled_because,
        disabled_at=row.disabled_at,
        created_at=row.created_at,
        created_by=row.created_by,
        failing_since=row.failing_since,
        failures=row.failures,
        previous_secret_until=until if until and until > (now or timezone.now()) else None,
        audit_after=row.audit_after,
        audit_attempts=tuple(reversed(row.audit_attempts)),
    )


def _delivery(row: WebhookDelivery) -> Delivery:
    return Delivery(
        id=row.pk,
        webhook_id=f"evt_{row.event_id.hex}",
        event_type=row.event.type,
        at=row.event.at,
        state=row.state,
        tries=row.tries,
        due_at=row.due_at if row.state == DeliveryState.WAITING else None,
        finished_at=row.finished_at,
        attempts=tuple(reversed(row.attempts)),
        payload=row.event.payload,
    )
