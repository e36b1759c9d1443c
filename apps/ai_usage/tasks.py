"""What workers do for the gateway."""

from uuid import UUID

from celery.signals import worker_process_shutdown, worker_shutdown
from django.utils import timezone

from apps.ai_usage import background, dead_leases
from apps.ai_usage.models import BackgroundResponse, IdempotentCall
from apps.governance.gates import EveryPlan, gated_task
from apps.tenancy.selectors import all_tenants
from apps.tenancy.services import in_tenant


@gated_task(
    "ai_usage.run_background",
    feature=EveryPlan("what was accepted is accounted for; each call asks the plan"),
)
def run_background(*, response_id: str) -> None:
    """Make one background response."""
    background.run_background(UUID(response_id))


@gated_task(
    "ai_usage.forget_background", feature=EveryPlan("what is kept no longer is forgotten for everybody")
)
def forget_background() -> None:
    """Delete background responses, and answers to repeated calls, that are kept no longer."""
    for tenant in all_tenants():
        with in_tenant(tenant):
            BackgroundResponse.objects.filter(expires_at__lt=timezone.now()).delete()
            IdempotentCall.objects.filter(expires_at__lt=timezone.now()).delete()


@gated_task(
    "ai_usage.end_expired_leases", feature=EveryPlan("what dead processes held is given back to everybody")
)
def end_expired_leases() -> None:
    """Give back what calls of dead processes hold of budgets, also of tenants that nobody calls for."""
    dead_leases.end_expired_leases()


@worker_shutdown.connect
@worker_process_shutdown.connect
def write_down_what_waits(**_: object) -> None:
    """A worker that stops leaves no usage record behind in memory."""
    background.stop_plane()
