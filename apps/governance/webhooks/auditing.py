"""The audit log for an endpoint that asks for it: every entry, in order, read from the log itself.

The endpoint's row remembers the last entry that was accepted. So nothing is lost however long the endpoint is
away, nothing is kept twice, and one entry is attempted at a time.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from uuid_utils.compat import uuid7

from apps.governance.audit import as_event
from apps.governance.models import AuditEntry, WebhookEndpoint
from apps.governance.webhooks import schedule
from apps.governance.webhooks.delivering import (
    LEASE,
    Taken,
    attempt_record,
    envelope,
    look_again,
    message_id,
    note_health,
    secrets_of,
    try_at,
)
from apps.governance.webhooks.events import EventType
from apps.governance.webhooks.sending import Message, Outcome

_ATTEMPTS_KEPT = 20


def lanes(now: datetime) -> list[UUID]:
    """Endpoints that are behind the log and may be attended to now."""
    last = AuditEntry.objects.order_by("-sequence").values_list("sequence", flat=True).first()
    if last is None:
        return []
    free = Q(audit_lease_until=None) | Q(audit_lease_until__lte=now)
    behind = WebhookEndpoint.objects.filter(free, disabled_because="", audit_after__lt=last)
    return list(behind.filter(audit_due_at__lte=now).values_list("pk", flat=True))


@transaction.atomic
def take(endpoint_id: UUID, *, now: datetime) -> Taken | None:
    """Take the entry after the last accepted one, alone; None where there is none, or somebody else is at it."""
    endpoint = WebhookEndpoint.objects.select_for_update().filter(pk=endpoint_id, disabled_because="").first()
    if endpoint is None or endpoint.audit_after is None or endpoint.audit_due_at > now:
        return None
    if endpoint.audit_lease_until is not None and endpoint.audit_lease_until > now:
        return None
    entry = AuditEntry.objects.filter(sequence__gt=endpoint.audit_after).order_by("sequence").first()
    if entry is None:
        return None
    endpoint.audit_lease, endpoint.audit_lease_until = uuid7(), now + LEASE
    endpoint.save(update_fields=["audit_lease", "audit_lease_until"])
    look_again(now)
    message = Message(
        endpoint_id=endpoint.pk,
        url=endpoint.url,
        message_id=message_id(entry.id),
        body=envelope(entry.id, EventType.AUDIT_ENTRY, entry.at, as_event(entry)),
        secrets=secrets_of(endpoint, now),
    )
    return Taken(entry.id, endpoint.audit_lease, message)


@transaction.atomic
def record(taken: Taken, outcome: Outcome, *, now: datetime) -> None:
    """Go on to the next entry, or try the same one again later."""
    endpoint = (
        WebhookEndpoint.objects.select_for_update()
        .filter(pk=taken.message.endpoint_id, audit_lease=taken.lease)
        .first()
    )
    if endpoint is None:
        return
    sequence = AuditEntry.objects.values_list("sequence", flat=True).filter(id=taken.id).first()
    endpoint.audit_lease = endpoint.audit_lease_until = None
    if outcome.was_accepted or sequence is None:
        if sequence is not None and endpoint.audit_after is not None:
            endpoint.audit_after = max(endpoint.audit_after, sequence)
        endpoint.audit_tries = 0
    else:
        endpoint.audit_tries += 1
        endpoint.audit_due_at = schedule.next_audit_try(
            endpoint.audit_tries, now=now, retry_after=outcome.retry_after
        )
        try_at(endpoint.audit_due_at)
    told: dict[str, Any] = attempt_record(outcome) | {"sequence": sequence}
    endpoint.audit_attempts = [*endpoint.audit_attempts, told][-_ATTEMPTS_KEPT:]
    endpoint.save()
    note_health(endpoint, outcome, now=now)
