"""What was said to Stripe and heard from it. The tenant plane sees none of these tables."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.billing.types import InboxState, OutboxState


class StripeCustomer(models.Model):
    """Which Stripe customer is which tenant. Stripe's own metadata never changes this binding."""

    schema = "public"

    tenant_id = models.UUIDField(primary_key=True)
    customer_id = models.CharField(max_length=64, unique=True)
    bound_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.customer_id


class StripeInbox(models.Model):
    """A webhook as it arrived and was verified. Written once per event id; applied later, from a fresh
    fetch."""

    schema = "public"

    id = models.BigAutoField(primary_key=True)
    event_id = models.CharField(max_length=64, unique=True)
    type = models.CharField(max_length=80)
    object_id = models.CharField(max_length=64, blank=True, default="")
    created = models.DateTimeField()  # Stripe's clock
    livemode = models.BooleanField()
    account = models.CharField(max_length=64, blank=True, default="")
    payload = models.JSONField()
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    state = models.CharField(max_length=8, default=InboxState.RECEIVED.value)
    applied_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True, default="")  # why it was ignored

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], condition=Q(state="received"), name="billing_inbox_waiting")]
        constraints = [
            models.CheckConstraint(
                name="billing_inbox_known_state", condition=Q(state__in=[state.value for state in InboxState])
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class StripeOutbox(models.Model):
    """One thing to be said to Stripe exactly once, and what came of it."""

    schema = "public"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    step = models.CharField(
        max_length=30
    )  # customer.create | invoice.create | invoice.line | invoice.finalize
    subject_id = models.UUIDField()  # what it is about: the tenant, the invoice, the line
    idempotency_key = models.CharField(max_length=120, unique=True)
    # What was said, kept so that saying it again is the same word for word: Stripe refuses a key with other
    # words.
    request = models.JSONField()
    state = models.CharField(max_length=6, default=OutboxState.READY.value)
    stripe_id = models.CharField(max_length=64, blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The first time the key was used: Stripe forgets keys after a day, and then we search before we create.
    first_sent_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], condition=Q(state="ready"), name="billing_outbox_waiting")]
        constraints = [
            models.UniqueConstraint(fields=["step", "subject_id"], name="billing_outbox_once"),
            models.CheckConstraint(
                name="billing_outbox_known_state",
                condition=Q(state__in=[state.value for state in OutboxState]),
            ),
            models.CheckConstraint(
                name="billing_outbox_done_has_id", condition=~Q(state="done") | ~Q(stripe_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.subject_id}"
