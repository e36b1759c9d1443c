"""What workers do for governance. Each runs inside a ticket with its tenant in force, and may run twice."""

from celery.signals import worker_shutdown

from apps.governance.gates import gated_task
from apps.governance.webhooks.courier import courier, deliver_due


@gated_task("governance.deliver_webhooks", feature="webhooks")
def deliver_webhooks() -> None:
    """Send what is due to the tenant's webhook endpoints."""
    deliver_due()


@worker_shutdown.connect
def finish_attempts(**_: object) -> None:
    """A worker that stops lets the attempts under way end, so that they need not be made twice."""
    courier().wait(8)
