"""What workers do for keys. Each runs inside a ticket with its tenant in force, and may run twice."""

from uuid import UUID

from django.utils import timezone

from apps.governance.gates import EveryPlan, gated_task
from apps.jobs.services import enqueue
from apps.keys import services, telling
from apps.tenancy.selectors import all_tenants


@gated_task("keys.tell_of_leak", feature=EveryPlan("a leaked key is everybody's danger"))
def tell_of_leak(*, key_id: str) -> None:
    """Mail about a reported key."""
    telling.tell_of_leak(UUID(key_id))


@gated_task("keys.warn_of_unused", feature=EveryPlan("whoever has keys has them looked after"))
def warn_of_unused(*, key_id: str) -> None:
    """Mail about a key that nobody uses."""
    telling.warn_of_unused(UUID(key_id))


@gated_task("keys.tell_of_budget", feature=EveryPlan("limits of the plan alert as budgets do"))
def tell_of_budget(*, alert_id: str) -> None:
    """Mail about a budget that reached a percentage, or refuses."""
    telling.tell_of_budget(UUID(alert_id))


@gated_task("keys.look_after", feature=EveryPlan("whoever has keys has them looked after"))
def look_after() -> None:
    """Disable and warn about unused keys, note expired ones, and forget answers to writes of over a day ago."""
    now = timezone.now()
    services.retire_unused_keys(now=now)
    services.note_expired_keys(now=now)
    services.purge_idempotent_writes(now=now)


@gated_task("keys.look_after_all", feature=EveryPlan("whoever has keys has them looked after"))
def look_after_all() -> None:
    """Ask for `keys.look_after` for each tenant. The platform's own work."""
    for tenant in all_tenants():
        enqueue("keys.look_after", tenant_id=tenant.id, queue="bulk", dedupe_key=f"keys:{tenant.ref}")
