"""What is done to endpoints: making, changing, pausing, rotating the secret, testing, sending again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.governance.audit import record_audit
from apps.governance.errors import (
    InvalidWebhookSettings,
    WebhookIsDisabled,
    WebhookLimitReached,
    WebhookNotFound,
)
from apps.governance.models import AuditEntry, DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookEvent
from apps.governance.selectors import limit
from apps.governance.types import Actor
from apps.governance.webhooks import delivering, outbox, reading, signing
from apps.governance.webhooks.addresses import checked_target
from apps.governance.webhooks.events import EventType, is_pattern, wants
from apps.governance.webhooks.types import Endpoint, NewEndpoint
from apps.tenancy import services as tenancy

MOST_ENDPOINTS = 20
MOST_OVERLAP = timedelta(days=7)
DEFAULT_OVERLAP = timedelta(days=1)
MOST_REPLAYED = 1000


@transaction.atomic
def create_webhook(*, actor: Actor, url: str, events: Sequence[str], description: str = "") -> NewEndpoint:
    """Begin to tell an address of events; returns the secret, which nobody can read again."""
    chosen = _checked_events(events)
    checked_target(url)
    tenancy.lock_tenant("webhooks")
    most = limit("webhook_endpoints")
    most = MOST_ENDPOINTS if most is None else min(most, MOST_ENDPOINTS)
    if WebhookEndpoint.objects.count() >= most:
        raise WebhookLimitReached(most)
    secret, endpoint_id = signing.new_secret(), uuid7()
    row = WebhookEndpoint.objects.create(
        id=endpoint_id,
        url=url,
        description=_checked_description(description),
        events=chosen,
        created_by=actor.name[:200],
        secret=delivering.seal_secret(endpoint_id, secret),
    )
    _note("webhook.created", row, actor, url=_without_path(url), events=chosen)
    _follow_audit(row)
    return NewEndpoint(reading.endpoint_record(row), secret)


@transaction.atomic
def change_webhook(
    endpoint_id: UUID,
    *,
    actor: Actor,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
) -> Endpoint:
    """Change where an endpoint is or what it is told; what is not given stays. What waits goes to the new address."""
    row = _locked(endpoint_id)
    before = {"url": row.url, "events": row.events, "description": row.description}
    if url is not None and url != row.url:
        checked_target(url)
        row.url = url
        row.failing_since, row.failures = None, 0
    if events is not None:
        row.events = _checked_events(events)
    if description is not None:
        row.description = _checked_description(description)
    after = {"url": row.url, "events": row.events, "description": row.description}
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if changed:
        row.save(update_fields=[*after, "failing_since", "failures"])
        if "url" in changed:
            changed["url"] = [_without_path(before["url"]), _without_path(after["url"])]
        _note("webhook.changed", row, actor, changed=changed)
        _follow_audit(row)
    return reading.endpoint_record(row)


@transaction.atomic
def delete_webhook(endpoint_id: UUID, *, actor: Actor) -> None:
    """Tell an address nothing more, and forget what it was told."""
    row = _locked(endpoint_id)
    _note("webhook.deleted", row, actor, url=_without_path(row.url))
    row.delete()


@transaction.atomic
def disable_webhook(endpoint_id: UUID, *, actor: Actor) -> Endpoint:
    """Pause an endpoint; what waits is kept as failed. Doing it twice changes nothing."""
    row = _locked(endpoint_id)
    if not row.disabled_because:
        delivering.stop(row, "by_hand", now=timezone.now())
        _note("webhook.disabled", row, actor, because="by_hand")
    return reading.endpoint_record(row)


@transaction.atomic
def enable_webhook(endpoint_id: UUID, *, actor: Actor) -> Endpoint:
    """Send again, from now on; the audit log from where it stopped."""
    row = _locked(endpoint_id)
    if row.disabled_because:
        checked_target(row.url)
        row.disabled_because, row.disabled_at = "", None
        row.failing_since, row.failures = None, 0
        row.audit_due_at, row.audit_tries = timezone.now(), 0
        row.save()
        _note("webhook.enabled", row, actor)
        outbox.ask_for_delivery()
    return reading.endpoint_record(row)


@transaction.atomic
def rotate_webhook_secret(
    endpoint_id: UUID, *, actor: Actor, overlap: timedelta = DEFAULT_OVERLAP
) -> NewEndpoint:
    """Make a new secret and return it; for the overlap each message is signed with both."""
    if not timedelta(0) <= overlap <= MOST_OVERLAP:
        raise InvalidWebhookSettings(f"The overlap is between 0 seconds and {MOST_OVERLAP.days} days.")
    row, secret = _locked(endpoint_id), signing.new_secret()
    until = timezone.now() + overlap
    row.previous_secret, row.previous_until = (row.secret, until) if overlap else (None, None)
    row.secret = delivering.seal_secret(row.pk, secret)
    row.save(update_fields=["secret", "previous_secret", "previous_until"])
    _note("webhook.secret_rotated", row, actor, both_until=until if overlap else None)
    return NewEndpoint(reading.endpoint_record(row), secret)


@transaction.atomic
def send_webhook_test(endpoint_id: UUID, *, actor: Actor) -> UUID:
    """Send one endpoint an event that says nothing but that it arrives; the event's id."""
    row = _locked(endpoint_id)
    if row.disabled_because:
        raise WebhookIsDisabled
    event = outbox.write_event(EventType.WEBHOOK_TEST, {"message": "This is a test from Lockstep."}, [row.pk])
    _note("webhook.tested", row, actor)
    return event


@transaction.atomic
def replay_webhook_delivery(endpoint_id: UUID, delivery_id: UUID, *, actor: Actor) -> None:
    """Send one event again, with all its tries and under the same `webhook-id`."""
    row = _locked(endpoint_id)
    if row.disabled_because:
        raise WebhookIsDisabled
    found = WebhookDelivery.objects.filter(pk=delivery_id, endpoint=row)
    if not _again(found):
        if not found.exists():
            raise WebhookNotFound
        return  # it waits already
    _note("webhook.replayed", row, actor, deliveries=1)
    outbox.ask_for_delivery()


@transaction.atomic
def replay_failed_webhooks(endpoint_id: UUID, *, since: datetime, actor: Actor) -> int:
    """Send again what failed since a moment, the oldest first, at most a thousand; how many."""
    row = _locked(endpoint_id)
    if row.disabled_because:
        raise WebhookIsDisabled
    failed = WebhookDelivery.objects.filter(
        endpoint=row, state=DeliveryState.FAILED, event__at__gte=since
    ).order_by("id")
    many = _again(
        WebhookDelivery.objects.filter(pk__in=list(failed.values_list("pk", flat=True)[:MOST_REPLAYED]))
    )
    if many:
        _note("webhook.replayed", row, actor, deliveries=many, since=since)
        outbox.ask_for_delivery()
    return many


@transaction.atomic
def replay_webhook_audit(endpoint_id: UUID, *, after: int, actor: Actor) -> Endpoint:
    """Send the audit log again from after an entry on; forward, to leave entries out, it cannot be moved."""
    row = _locked(endpoint_id)
    if row.audit_after is None:
        raise InvalidWebhookSettings(
            "This endpoint is not told of audit entries: subscribe it to audit.entry."
        )
    if not 0 <= after <= row.audit_after:
        raise InvalidWebhookSettings(
            f"Entries up to {row.audit_after} were sent: give a number from 0 to that."
        )
    row.audit_after, row.audit_due_at, row.audit_tries = after, timezone.now(), 0
    row.audit_lease = row.audit_lease_until = None
    row.save()
    _note("webhook.replayed", row, actor, audit_after=after)
    outbox.ask_for_delivery()
    return reading.endpoint_record(row)


def forget_events(*, before: datetime) -> int:
    """Delete events from before a moment that nobody waits for, with their deliveries; how many."""
    old = WebhookEvent.objects.filter(at__lt=before).exclude(deliveries__state=DeliveryState.WAITING)
    many = old.count()
    old.delete()
    return many


def _again(found: Any) -> int:
    return int(
        found.filter(~Q(state=DeliveryState.WAITING)).update(
            state=DeliveryState.WAITING,
            tries=0,
            due_at=timezone.now(),
            finished_at=None,
            lease=None,
            lease_until=None,
        )
    )


def _follow_audit(row: WebhookEndpoint) -> None:
    """Begin to follow the audit log at its present end, or stop."""
    follows = wants(row.events, EventType.AUDIT_ENTRY)
    if follows == (row.audit_after is not None):
        return
    last = AuditEntry.objects.order_by("-sequence").values_list("sequence", flat=True).first()
    row.audit_after = (last or 0) if follows else None
    row.save(update_fields=["audit_after"])


def _locked(endpoint_id: UUID) -> WebhookEndpoint:
    row = WebhookEndpoint.objects.select_for_update().filter(pk=endpoint_id).first()
    if row is None:
        raise WebhookNotFound
    return row


def _checked_events(events: Sequence[str]) -> list[str]:
    chosen = sorted(set(events))
    unknown = [each for each in chosen if not is_pattern(each)]
    if unknown:
        raise InvalidWebhookSettings(f"There is no event {unknown[0][:60]}. docs/webhooks.md lists them.")
    if not chosen:
        raise InvalidWebhookSettings("Choose at least one event.")
    return chosen


def _checked_description(text: str) -> str:
    if len(text) > 200 or any(not character.isprintable() for character in text):
        raise InvalidWebhookSettings("A description is at most 200 characters on one line.")
    return text


def _without_path(url: str) -> str:
    """An address as the audit log has it: many keep a secret in the path."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"


def _note(action: str, row: WebhookEndpoint, actor: Actor, **details: Any) -> None:
    record_audit(action, actor=actor, target_kind="webhook", target_id=row.pk, details=details)
