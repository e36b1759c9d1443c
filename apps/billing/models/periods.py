"""Billing periods, and the usage that arrived after its period was closed."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from apps.billing.models.fields import span
from apps.billing.types import PeriodState


class BillingPeriod(models.Model):
    """One tenant's calendar month in UTC, half-open: [starts_at, ends_at). Closed ones never change
    (trigger)."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(
        max_length=8,
        choices=[(state.value, state.value) for state in PeriodState],
        default=PeriodState.OPEN.value,
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["tenant_id", "-starts_at"]
        indexes = [
            models.Index(fields=["ends_at"], condition=~Q(state="closed"), name="billing_period_due"),
        ]
        constraints = [
            # Every instant belongs to at most one period of a tenant.
            ExclusionConstraint(
                name="billing_period_no_overlap",
                expressions=[
                    ("tenant_id", RangeOperators.EQUAL),
                    (span("starts_at", "ends_at"), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(name="billing_period_not_empty", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(
                name="billing_period_known_state",
                condition=Q(state__in=[state.value for state in PeriodState]),
            ),
            models.CheckConstraint(
                name="billing_period_closed_has_moment",
                condition=Q(state="closed", closed_at__isnull=False) | ~Q(state="closed") & Q(closed_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m}"


class LateUsage(models.Model):
    """A usage event that was counted after the period it happened in had been closed, and where it is
    billed."""

    schema = "tenant"
    tenant_plane = "SELECT"

    event_id = models.UUIDField(primary_key=True)
    occurred_at = models.DateTimeField()
    billed_in = models.UUIDField(db_index=True)  # the period on whose invoice it is an adjustment
