"""Saying a thing to Stripe exactly once, whatever happens on the way."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.billing import stripe
from apps.billing.models import StripeOutbox
from apps.billing.types import OutboxState

# Stripe may forget an idempotency key after a day. Past this age we look for what we may have made before.
_KEY_TRUSTED = timedelta(hours=20)


def say_once(
    *,
    tenant_id: UUID,
    step: str,
    subject_id: UUID,
    request: Mapping[str, Any],
    send: Callable[[Mapping[str, Any], str], str],
    find: Callable[[], str | None],
    now: datetime,
) -> str:
    """The id of what Stripe made of this request, made now unless it was before.

    The words and the key are committed before they are sent, so a crash, a lost answer or a second worker
    repeats
    exactly the same words under the same key. A refusal parks the row; `StripeAway` leaves it for another
    try.
    """
    row, _ = StripeOutbox.objects.get_or_create(
        step=step,
        subject_id=subject_id,
        defaults={
            "tenant_id": tenant_id,
            "idempotency_key": f"lockstep:{step}:{subject_id}",
            "request": dict(request),
            "created_at": now,
        },
    )
    StripeOutbox.objects.filter(pk=row.pk, first_sent_at=None).update(first_sent_at=now)
    try:
        with transaction.atomic():
            # Held while we speak: a second worker waits and then finds it done.
            row = StripeOutbox.objects.select_for_update().get(pk=row.pk)
            if row.state == OutboxState.DONE:
                return row.stripe_id
            said = find() if row.first_sent_at and now - row.first_sent_at > _KEY_TRUSTED else None
            row.stripe_id = said or send(row.request, row.idempotency_key)
            row.state, row.done_at, row.error = OutboxState.DONE.value, now, ""
            row.attempts += 1
            row.save()
    except (stripe.StripeAway, stripe.StripeRefused) as failed:
        parked = isinstance(failed, stripe.StripeRefused)
        StripeOutbox.objects.filter(pk=row.pk).update(
            state=OutboxState.PARKED if parked else OutboxState.READY,
            attempts=row.attempts + 1,
            error=failed.message[:500],
        )
        raise
    return row.stripe_id
