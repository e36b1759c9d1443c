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
    # A shadow budget refuses nothing; what it would have refused is counted.
    shadow = models.BooleanField(default=False, db_default=False)
    # Percentages of the amount at which the tenant is told, once per window.
    alert_at = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The actor's name, for people.
    created_by = models.CharField(max_length=200, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(name="governance_budget_not_negative", condition=Q(amount__gte=0)),
            models.CheckConstraint(name="governance_budget_unit", condition=Q(unit__in=["money", "tokens"])),
            models.CheckConstraint(
                name="governance_budget_shadow_would_refuse", condition=Q(shadow=False) | Q(hard=True)
            ),
            models.CheckConstraint(name="governance_budget_window", condition=Q(window__in=["day", "month"])),
            models.CheckConstraint(
                name="governance_budget_level",
                condition=Q(level="tenant", subject_id=None)
                | Q(level__in=["member", "service_account", "key"], subject_id__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["level", "subject_id", "unit", "window", "hard", "shadow"],
                nulls_distinct=False,
                name="governance_budget_one_per_window",
            ),
        ]


class BudgetAlert(models.Model):
    """That a budget reached a percentage in one of its windows, or refused for the first time in it.

    The constraint makes it once, however many processes saw it; mail, audit entry and event come with the row.
    """

    schema = "tenant"
    tenant_plane = "SELECT, INSERT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The limit's name in admission (tenant.budget_per_day), and the hex id of whom it is on.
    limit = models.CharField(max_length=60)
    subject = models.CharField(max_length=32, blank=True, default="")
    window_start = models.DateTimeField()
    resets_at = models.DateTimeField(null=True)
    # 0: a call was refused, or would have been by a shadow budget.
    percent = models.PositiveIntegerField()
    amount = models.DecimalField(max_digits=38, decimal_places=12)
    spent = models.DecimalField(max_digits=38, decimal_places=12)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-at"]
        constraints = [
            # Another amount is another threshold: a budget that was raised tells again.
            models.UniqueConstraint(
                fields=["limit", "subject", "window_start", "percent", "amount"],
                name="governance_budgetalert_once",
            )
        ]
        indexes = [models.Index(fields=["resets_at"], name="governance_alert_reset")]
