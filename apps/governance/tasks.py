"""What workers do for governance. Each runs inside a ticket with its tenant in force, and may run twice."""

from celery.signals import worker_shutdown
from django.utils import timezone

from apps.governance import looking_after
from apps.governance.announcing import announce_again
from apps.governance.content.keys import forget_expired
from apps.governance.gates import EveryPlan, gated_task
from apps.governance.webhooks.courier import courier, deliver_due
from apps.tenancy.selectors import all_tenants, current_tenant
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState


@gated_task("governance.deliver_webhooks", feature="webhooks")
def deliver_webhooks() -> None:
    """Send what is due to the tenant's webhook endpoints."""
    deliver_due()


@gated_task("governance.look_after", feature=EveryPlan("every tenant's log is signed and kept"))
def look_after() -> None:
    """Sign the day's head of a tenant's audit log, remove what is kept no longer, forget old events. Control plane."""
    looking_after.look_after()


@gated_task("governance.look_after_all", feature=EveryPlan("every tenant's log is signed and kept"))
def look_after_all() -> None:
    """Ask for `governance.look_after` for each tenant whose day has not been signed yet. The platform's own work."""
    looking_after.ask_for_all()


@worker_shutdown.connect
def finish_attempts(**_: object) -> None:
    """A worker that stops lets the attempts under way end, so that they need not be made twice."""
    courier().wait(8)


@gated_task(
    "governance.forget_content", feature=EveryPlan("what is kept no longer is forgotten for everybody")
)
def forget_content() -> None:
    """Delete prompts and answers whose days are over, or whose data key was destroyed."""
    for tenant in all_tenants(TenantState.READY, TenantState.SUSPENDED):
        with in_tenant(tenant):
            forget_expired(timezone.now())


@gated_task(
    "governance.announce", feature=EveryPlan("a change must reach every process, whatever was bought")
)
def announce() -> None:
    """Announce a change whose writer could not reach Valkey. Tried until somebody can."""
    announce_again(current_tenant())
