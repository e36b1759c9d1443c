"""What time does to keys: being used, not being used, and the answers kept for repeated writes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import DateTimeField, F
from django.db.models.functions import Coalesce, Greatest

from apps.governance.types import Actor
from apps.jobs.services import enqueue
from apps.keys import selectors
from apps.keys.models import ApiKey, IdempotentWrite
from apps.keys.services.change import note
from apps.keys.types import KeyUse
from apps.tenancy.selectors import current_tenant

IDEMPOTENCY_HOURS = 24
# A use this soon after the one written down is not worth a write.
_LEAST_SECONDS_APART = 30
# What expired longer ago is no news; the sweep comes several times a day.
_LATE_NEWS = timedelta(days=2)


def record_use(uses: Sequence[KeyUse]) -> None:
    """Write down last uses, in one statement for any number of keys of the tenant in force.

    It may run twice and late: time never moves back. Within half a minute of the use written down before it
    writes nothing, and a row that somebody else holds is passed over: the next report is as good.
    """
    if not uses:
        return
    latest = {use.key_id: use for use in sorted(uses, key=lambda use: use.at)}.values()
    table = ApiKey._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} AS k SET last_used_at = u.at, last_used_address = u.address, "  # noqa: S608
            "last_used_agent = u.agent, warned_unused_at = NULL "
            "FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[]) AS u(id, at, address, agent) "
            f"WHERE k.id = u.id AND k.id IN (SELECT s.id FROM {table} AS s "
            "JOIN unnest(%s::uuid[], %s::timestamptz[]) AS n(id, at) ON n.id = s.id "
            "WHERE s.last_used_at IS NULL "
            f"OR s.last_used_at < n.at - interval '{_LEAST_SECONDS_APART} seconds' "
            "FOR NO KEY UPDATE OF s SKIP LOCKED)",
            [
                [use.key_id for use in latest],
                [use.at for use in latest],
                [use.address[:45] for use in latest],
                [_printable(use.agent)[:200] for use in latest],
                [use.key_id for use in latest],
                [use.at for use in latest],
            ],
        )


def retire_unused_keys(*, now: datetime) -> tuple[int, int]:
    """Warn about and disable keys that nobody uses, as the tenant's policy says; how many of each."""
    policy, actor = selectors.key_policy(), Actor.system("Unused keys")
    warned = disabled = 0
    unused = ApiKey.objects.usable(now).filter(replaced_by=None, parent=None)
    unused = unused.annotate(
        idle_since=Greatest(
            Coalesce("last_used_at", F("created_at"), output_field=DateTimeField()),
            Coalesce("enabled_at", F("created_at"), output_field=DateTimeField()),
        )
    )
    if policy.disable_unused_days is not None:
        with transaction.atomic():
            since = now - timedelta(days=policy.disable_unused_days)
            for row in unused.filter(idle_since__lte=since).select_for_update(skip_locked=True):
                row.disabled_at = now
                row.disabled_reason = f"Not used for {policy.disable_unused_days} days."
                row.save(update_fields=["disabled_at", "disabled_reason"])
                note("key.disabled", row, actor, reason=row.disabled_reason)
                disabled += 1
    if policy.warn_unused_days is not None:
        with transaction.atomic():
            since = now - timedelta(days=policy.warn_unused_days)
            idle = unused.filter(idle_since__lte=since, warned_unused_at=None)
            for row in idle.select_for_update(skip_locked=True):
                row.warned_unused_at = now
                row.save(update_fields=["warned_unused_at"])
                note("key.unused", row, actor, idle_since=row.idle_since)
                enqueue("keys.warn_of_unused", tenant_id=current_tenant().id, payload={"key_id": str(row.pk)})
                warned += 1
    return warned, disabled


def note_expired_keys(*, now: datetime) -> int:
    """Write down, once, that a key's time is over; how many. They were refused from that moment on anyway."""
    since = now - _LATE_NEWS
    with transaction.atomic():
        over = ApiKey.objects.filter(
            expires_at__lte=now, expires_at__gt=since, revoked_at=None, expiry_noted_at=None
        )
        rows = list(over.select_for_update(skip_locked=True).order_by("expires_at"))
        for row in rows:
            row.expiry_noted_at = now
            row.save(update_fields=["expiry_noted_at"])
            note("key.expired", row, Actor.system("Expired keys"), expired_at=row.expires_at)
    return len(rows)


def purge_idempotent_writes(*, now: datetime) -> int:
    """Forget the answers to writes older than a day, in the tenant in force."""
    gone, _ = IdempotentWrite.objects.filter(created_at__lt=now - timedelta(hours=IDEMPOTENCY_HOURS)).delete()
    return gone


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
