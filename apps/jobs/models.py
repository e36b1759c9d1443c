"""The work ticket: a promise to do something, in the same transaction as the reason for it."""

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

# Stands where work belongs to no tenant, so that fairness counts the platform as one more of them.
PLATFORM = UUID(int=0)


class TicketState(models.TextChoices):
    """ready → running → done; back to ready for another try; dead when tries are used up."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class WorkTicket(models.Model):
    """One piece of work. Holds ids only: no prompt, answer or personal data, since every worker may read it."""

    schema = "public"
    # Any tenant-plane worker claims any tenant's ticket, so there is no row-level security here.
    tenant_plane = "SELECT, INSERT, UPDATE"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=80)  # the Celery task's name
    # PLATFORM: the operator's own work. Otherwise the task runs with this tenant in force.
    tenant_id = models.UUIDField(default=PLATFORM)
    queue = models.CharField(max_length=20)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=TicketState.choices, default=TicketState.READY)
    # While a ticket with this key is ready, asking again for the same is no new ticket.
    dedupe_key = models.CharField(max_length=120, blank=True, default="")
    # Relative load (seconds or thousands of tokens) for weighted round robin over tenants.
    cost = models.PositiveIntegerField(default=1)
    due_at = models.DateTimeField(default=timezone.now)

    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=5)
    # Whoever holds the token may finish the ticket until the lease ends; a later holder has another token.
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True, default="")
    last_error = models.TextField(blank=True, default="")

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["queue", "tenant_id", "due_at"], condition=Q(state="ready"), name="jobs_ticket_ready"
            ),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="jobs_ticket_leases"),
            models.Index(fields=["tenant_id", "state"], name="jobs_ticket_by_tenant"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "dedupe_key"],
                condition=Q(state="ready") & ~Q(dedupe_key=""),
                name="jobs_ticket_one_ready",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Share(models.Model):
    """How much of a queue one tenant has had: the book-keeping of weighted fair queueing."""

    schema = "public"
    tenant_plane = "SELECT, INSERT, UPDATE"

    tenant_id = models.UUIDField()
    queue = models.CharField(max_length=20)
    # Cost served, divided by the weight; the tenant with the least is next.
    served = models.FloatField(default=0)
    # Both come from the plan. A heavier tenant gets more of a busy queue; nobody more than in_flight at once.
    weight = models.FloatField(default=1)
    in_flight = models.PositiveIntegerField(default=8)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "queue"], name="jobs_share_once"),
            models.CheckConstraint(name="jobs_share_weight_positive", condition=Q(weight__gt=0)),
        ]
