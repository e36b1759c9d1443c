"""Ending keys for good."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.governance.types import Actor
from apps.keys import describing, rights
from apps.keys.models import ApiKey
from apps.keys.services.change import locked_row, note
from apps.keys.types import Key


@transaction.atomic
def revoke_key(key_id: UUID, *, actor: Actor, reason: str = "", now: datetime | None = None) -> Key:
    """End a key and its children from the next request on, for good. Doing it twice changes nothing."""
    moment = now or timezone.now()
    who = rights.acting(actor)
    row = locked_row(key_id)
    rights.may_manage(who, row)
    revoke_row(row, actor=actor, reason=reason, now=moment)
    return describing.describe(row, moment)


@transaction.atomic
def revoke_keys_of_member(member_id: UUID, *, actor: Actor, reason: str, now: datetime | None = None) -> int:
    """End every key that acts for a member; returns how many. For when the membership ends.

    A removed member's keys are dead already, because each use asks whether the owner is active. This makes it
    final, so that a member who comes back starts without them.
    """
    moment = now or timezone.now()
    rows = ApiKey.objects.select_for_update(of=("self",)).with_context()
    ended = list(rows.filter(member_id=member_id, revoked_at=None).order_by("pk"))
    for row in ended:
        revoke_row(row, actor=actor, reason=reason, now=moment)
    return len(ended)


def revoke_row(row: ApiKey, *, actor: Actor, reason: str, now: datetime) -> None:
    """End one locked row and its children, unless it was ended before."""
    if row.revoked_at is not None:
        return
    row.revoked_at, row.revoked_reason = now, reason[:200]
    row.save(update_fields=["revoked_at", "revoked_reason"])
    note("key.revoked", row, actor, reason=reason)
    for child in ApiKey.objects.select_for_update(of=("self",)).filter(Q(parent=row), revoked_at=None):
        child.revoked_at, child.revoked_reason = now, "Its parent was revoked."
        child.save(update_fields=["revoked_at", "revoked_reason"])
        note("key.revoked", child, actor, reason=child.revoked_reason)
