"""Taking a delivery that is due, and writing down how its attempt ended. Sending happens between the two."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Count, F, Q
from uuid_utils.compat import uuid7

from apps.governance import metrics
from apps.governance.audit import record_audit
from apps.governance.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from apps.governance.sealing import seal, unseal
from apps.governance.types import Actor
from apps.governance.webhooks import schedule
from apps.governance.webhooks.sending import Message, Outcome
from apps.jobs.services import enqueue
from apps.tenancy.selectors import current_tenant

# An attempt takes at most fifteen seconds; after this somebody else may take the delivery.
LEASE = timedelta(seconds=60)
# At once for one endpoint, over all processes.
MOST_AT_ONCE = 2
_ATTEMPTS_KEPT = 50
_PURPOSE = "webhook"


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that this process may attempt until its lease ends."""

    id: UUID
    lease: UUID
    message: Message


def message_id(event_id: UUID) -> str:
    """The `webhook-id` of an event: the same for every attempt and endpoint."""
    return f"evt_{event_id.hex}"


def envelope(event_id: UUID, event_type: str, at: datetime, data: dict[str, Any]) -> bytes:
    """The body of a message; the same bytes each time."""
    tenant = current_tenant()
    return orjson.dumps(
        {
            "id": message_id(event_id),
            "type": event_type,
            "timestamp": at.isoformat(),
            "tenant": {"id": str(tenant.id), "slug": tenant.slug},
            "data": data,
        },
        option=orjson.OPT_SORT_KEYS,
    )


def seal_secret(endpoint_id: UUID, secret: str) -> bytes:
    """An endpoint's secret as it is stored."""
    return seal(secret.encode(), purpose=_PURPOSE, place=_place(endpoint_id))


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The secrets that sign now: the newest first, and the one before it while a rotation overlaps."""
    stored = [endpoint.secret]
    if endpoint.previous_secret is not None and endpoint.previous_until and endpoint.previous_until > now:
        stored.append(endpoint.previous_secret)
    place = _place(endpoint.pk)
    return [unseal(bytes(each), purpose=_PURPOSE, place=place).decode() for each in stored]


def _place(endpoint_id: UUID) -> str:
    return f"{current_tenant().id}:{endpoint_id}"


def lanes(now: datetime) -> list[UUID]:
    """Endpoints with something due, each as often as it may be attended to now."""
    waiting = (
        WebhookDelivery.objects.filter(state=DeliveryState.WAITING, endpoint__disabled_because="")
        .values("endpoint_id")
        .annotate(
            due=Count("id", filter=Q(due_at__lte=now) & (Q(lease_until=None) | Q(lease_until__lte=now))),
            held=Count("id", filter=Q(lease_until__gt=now)),
        )
        .order_by("endpoint_id")
    )
    return [
        row["endpoint_id"]
        for row in waiting
        for _ in range(max(0, min(row["due"], MOST_AT_ONCE - row["held"])))
    ]


@transaction.atomic
def take(endpoint_id: UUID, *, now: datetime) -> Taken | None:
    """Take the next delivery of an endpoint that is due, if it may have one more attempt at the same time."""
    # The endpoint's row orders those who count what is held.
    endpoint = WebhookEndpoint.objects.select_for_update().filter(pk=endpoint_id, disabled_because="").first()
    if endpoint is None:
        return None
    waiting = WebhookDelivery.objects.filter(endpoint_id=endpoint_id, state=DeliveryState.WAITING)
    if waiting.filter(lease_until__gt=now).count() >= MOST_AT_ONCE:
        return None
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    row = waiting.filter(free, due_at__lte=now).select_related("event").order_by("due_at", "id").first()
    if row is None:
        return None
    row.lease, row.lease_until = uuid7(), now + LEASE
    row.save(update_fields=["lease", "lease_until"])
    look_again(now)
    return Taken(
        row.pk,
        row.lease,
        Message(
            endpoint_id=endpoint.pk,
            url=endpoint.url,
            message_id=message_id(row.event_id),
            body=envelope(row.event_id, row.event.type, row.event.at, row.event.payload),
            secrets=secrets_of(endpoint, now),
        ),
    )


def look_again(now: datetime) -> None:
    """Have somebody look when the leases given out now end, should this process be gone by then."""
    enqueue(
        "governance.deliver_webhooks",
        tenant_id=current_tenant().id,
        queue="webhooks",
        due_at=now + LEASE + timedelta(seconds=5),
        dedupe_key=f"net:{current_tenant().ref}",
        max_attempts=20,
    )


def has_leases(now: datetime) -> bool:
    """Whether attempts are under way, in this process or another."""
    return (
        WebhookDelivery.objects.filter(state=DeliveryState.WAITING, lease_until__gt=now).exists()
        or WebhookEndpoint.objects.filter(audit_lease_until__gt=now).exists()
    )


@transaction.atomic
def record(taken: Taken, outcome: Outcome, *, now: datetime) -> None:
    """Write an attempt down: done, due again, or given up. Nothing happens where the lease was lost."""
    endpoint = WebhookEndpoint.objects.select_for_update().filter(pk=taken.message.endpoint_id).first()
    row = WebhookDelivery.objects.select_for_update().filter(pk=taken.id, lease=taken.lease).first()
    if endpoint is None or row is None:
        return
    row.attempts = [*row.attempts, attempt_record(outcome)][-_ATTEMPTS_KEPT:]
    row.tries += 1
    row.lease = row.lease_until = None
    if outcome.was_accepted:
        row.state, row.finished_at = DeliveryState.DELIVERED.value, now
    elif row.state == DeliveryState.WAITING:
        due = schedule.next_try(row.tries, now=now, retry_after=outcome.retry_after)
        if due is None:
            row.state, row.finished_at = DeliveryState.FAILED.value, now
        else:
            row.due_at = due
            try_at(due)
    row.save()
    note_health(endpoint, outcome, now=now)


def try_at(due: datetime) -> None:
    """Have a worker look when something is due again."""
    enqueue(
        "governance.deliver_webhooks",
        tenant_id=current_tenant().id,
        queue="webhooks",
        due_at=due,
        max_attempts=20,
    )


def attempt_record(outcome: Outcome) -> dict[str, Any]:
    """An attempt as it is kept."""
    return {
        "at": datetime.fromtimestamp(outcome.at, UTC).isoformat(timespec="milliseconds"),
        "status": outcome.status,
        "milliseconds": outcome.milliseconds,
        "error": outcome.error,
        "excerpt": outcome.excerpt,
    }


def note_health(endpoint: WebhookEndpoint, outcome: Outcome, *, now: datetime) -> None:
    """Keep count of a locked endpoint's failures, and disable one that is gone or fails for days."""
    metrics.WEBHOOK_ATTEMPTS.labels(_outcome(outcome)).inc()
    metrics.WEBHOOK_SECONDS.observe(outcome.milliseconds / 1000)
    if outcome.was_accepted:
        if endpoint.failures:
            endpoint.failing_since, endpoint.failures = None, 0
            endpoint.save(update_fields=["failing_since", "failures"])
        return
    endpoint.failures += 1
    endpoint.failing_since = endpoint.failing_since or now
    endpoint.save(update_fields=["failing_since", "failures"])
    if endpoint.disabled_because:
        return
    if outcome.is_gone:
        _give_up(endpoint, "gone", "It answered 410: it asks not to be called again.", now=now)
    elif schedule.is_hopeless(endpoint.failing_since, endpoint.failures, now):
        _give_up(endpoint, "failing", outcome.error, now=now)


def _give_up(endpoint: WebhookEndpoint, because: str, error: str, *, now: datetime) -> None:
    stop(endpoint, because, now=now)
    record_audit(
        "webhook.disabled",
        actor=Actor.system("Webhooks"),
        target_kind="webhook",
        target_id=endpoint.pk,
        details={"because": because, "last_error": error, "failures": endpoint.failures},
    )
    metrics.WEBHOOKS_DISABLED.labels(because).inc()
    enqueue(
        "identity.tell_of_disabled_webhook",
        tenant_id=current_tenant().id,
        payload={"endpoint_id": str(endpoint.pk)},
    )


def stop(endpoint: WebhookEndpoint, because: str, *, now: datetime) -> None:
    """Send nothing more to a locked endpoint; what waits is kept as failed, to be replayed."""
    endpoint.disabled_because, endpoint.disabled_at = because, now
    endpoint.save(update_fields=["disabled_because", "disabled_at"])
    WebhookDelivery.objects.filter(endpoint=endpoint, state=DeliveryState.WAITING).update(
        state=DeliveryState.FAILED, finished_at=now, tries=F("tries")
    )


def _outcome(outcome: Outcome) -> str:
    if outcome.was_accepted:
        return "accepted"
    return "refused" if outcome.status is not None else "unreachable"
