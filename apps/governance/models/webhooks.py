"""Where a tenant wants to be told of events, the events, and what became of telling each endpoint."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class WebhookEndpoint(models.Model):
    """An address of the tenant's that is told of events."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True, default="")
    # Names of events, `area.*` or `*`; checked by the service.
    events = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=200, blank=True, default="")

    # Why nothing is sent any more: by_hand | failing | gone. Empty: enabled.
    disabled_because = models.CharField(max_length=10, blank=True, default="")
    disabled_at = models.DateTimeField(null=True, blank=True)

    # Sealed under CREDENTIAL_KEY. The previous one signs too until the overlap of a rotation ends.
    secret = models.BinaryField(max_length=200)
    previous_secret = models.BinaryField(max_length=200, null=True)
    previous_until = models.DateTimeField(null=True, blank=True)

    # Since the last attempt that was accepted: when the first failed, and how many did.
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)

    # The audit log is read from the log itself: the last entry that was accepted. None: not subscribed.
    audit_after = models.BigIntegerField(null=True, blank=True)
    audit_due_at = models.DateTimeField(default=timezone.now)
    audit_tries = models.PositiveIntegerField(default=0)
    audit_lease = models.UUIDField(null=True)
    audit_lease_until = models.DateTimeField(null=True)
    audit_attempts = models.JSONField(default=list)  # the latest, in the form of a delivery's

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="governance_endpoint_disabled",
                condition=Q(disabled_because="", disabled_at=None)
                | Q(disabled_because__in=["by_hand", "failing", "gone"], disabled_at__isnull=False),
            ),
            models.CheckConstraint(
                name="governance_endpoint_overlap",
                condition=Q(previous_secret=None, previous_until=None)
                | Q(previous_secret__isnull=False, previous_until__isnull=False),
            ),
        ]


class WebhookEvent(models.Model):
    """Something that happened, written in the transaction in which it happened. Never changed."""

    schema = "tenant"
    tenant_plane = "SELECT, INSERT, DELETE"

    # Its hex is the `webhook-id`: the same for each endpoint and each attempt.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    type = models.CharField(max_length=60)
    at = models.DateTimeField(default=timezone.now)
    payload = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["at"], name="governance_event_time")]


class DeliveryState(models.TextChoices):
    """waiting → delivered, or failed when its tries are used up or its endpoint was disabled."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """One event for one endpoint, with every attempt."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.WAITING.value)
    due_at = models.DateTimeField(default=timezone.now)
    # Of this round; a replay begins another.
    tries = models.PositiveSmallIntegerField(default=0)
    # Whoever holds the token sends; a process that died with it is replaced when the lease ends.
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    # [{at, status, milliseconds, error, excerpt}], oldest first, the latest fifty.
    attempts = models.JSONField(default=list)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["event", "endpoint"], name="governance_delivery_once"),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "due_at"], condition=Q(state="waiting"), name="governance_delivery_due"
            ),
            models.Index(fields=["endpoint", "-id"], name="governance_delivery_recent"),
        ]
