"""The budgets a tenant set itself."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class Budget(models.Model):
    """A limit on money or tokens that the tenant sets for itself, a member, a service account or a key."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    level = models.CharField(max_length=16)  # tenant | member | service_account | key
    subject_id = models.UUIDField(null=True)  # None for the tenant itself
    unit = models.CharField(max_length=6, default="money")  # money | tokens
    window = models.CharField(max_length=5)  # day | month, in UTC
    # Money: the tenant's currency. Tokens: whole tokens.
    amount = models.DecimalField(max_digits=38, decimal_places=12)
    # Soft budgets never refuse; they only tell.
    hard = models.BooleanField(default=True)
    # Percentages of the amount at which the tenant is told, once per window.
    alert_at = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(name="governance_budget_not_negative", condition=Q(amount__gte=0)),
            models.CheckConstraint(name="governance_budget_window", condition=Q(window__in=["day", "month"])),
            models.CheckConstraint(
                name="governance_budget_level",
                condition=Q(level="tenant", subject_id=None)
                | Q(level__in=["member", "service_account", "key"], subject_id__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["level", "subject_id", "unit", "window", "hard"],
                nulls_distinct=False,
                name="governance_budget_one_per_window",
            ),
        ]
