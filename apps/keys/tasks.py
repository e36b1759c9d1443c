"""What workers do for keys. Each runs inside a ticket with its tenant in force, and may run twice."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from apps.jobs.services import enqueue
from apps.keys import services, telling
from apps.tenancy.selectors import all_tenants


@shared_task(name="keys.tell_of_leak")
def tell_of_leak(*, key_id: str) -> None:
    """Mail about a reported key."""
    telling.tell_of_leak(UUID(key_id))


@shared_task(name="keys.warn_of_unused")
def warn_of_unused(*, key_id: str) -> None:
    """Mail about a key that nobody uses."""
    telling.warn_of_unused(UUID(key_id))


@shared_task(name="keys.look_after")
def look_after() -> None:
    """Disable and warn about unused keys, note expired ones, and forget answers to writes of over a day ago."""
    now = timezone.now()
    services.retire_unused_keys(now=now)
    services.note_expired_keys(now=now)
    services.purge_idempotent_writes(now=now)


@shared_task(name="keys.look_after_all")
def look_after_all() -> None:
    """Ask for `keys.look_after` for each tenant. The platform's own work."""
    for tenant in all_tenants():
        enqueue("keys.look_after", tenant_id=tenant.id, queue="bulk", dedupe_key=f"keys:{tenant.ref}")
