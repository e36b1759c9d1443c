"""What a tenant may use, the budgets it set itself, and the audit log, as stored in its schema."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class Entitlements(models.Model):
    """The resolved answer to "what may this tenant use now": one row, replaced whole by whoever sells.

    The tenant plane reads it and cannot write it: what was bought is not the buyer's to change.
    """

    schema = "tenant"
    tenant_plane = "SELECT"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.PositiveBigIntegerField(default=1)
    # The form is governance.types.Entitlements; validated there on the way in and out.
    snapshot = models.JSONField()
    published_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="governance_entitlements_one_row", condition=Q(id=1))]


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


class AuditEntry(models.Model):
    """One thing that somebody did. Written once: the tenant plane may insert and read, nothing else.

    Each entry's hash covers its content and the hash before it, so an edited, removed or moved row breaks
    the chain at a place that `manage.py audit verify` names.
    """

    schema = "tenant"
    tenant_plane = "SELECT, INSERT"

    # Gapless within the tenant; the lock that hands it out also orders the chain.
    sequence = models.BigIntegerField(primary_key=True)
    id = models.UUIDField(default=uuid7, unique=True, editable=False)
    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    actor_kind = models.CharField(
        max_length=20
    )  # member | key | service_account | operator | system | connection
    actor_id = models.CharField(max_length=64, blank=True, default="")
    actor_name = models.CharField(max_length=200, blank=True, default="")
    target_kind = models.CharField(max_length=40, blank=True, default="")
    target_id = models.CharField(max_length=64, blank=True, default="")
    details = models.JSONField(default=dict)  # before and after, never a secret
    request_id = models.CharField(max_length=64, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)

    class Meta:
        indexes = [
            models.Index(fields=["-at"], name="governance_audit_time"),
            models.Index(fields=["target_kind", "target_id"], name="governance_audit_target"),
        ]


class OperatorAuditEntry(models.Model):
    """What operators did to the platform. What they did to one tenant is in that tenant's log as well."""

    schema = "public"

    sequence = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=60)
    actor_id = models.CharField(max_length=64, blank=True, default="")
    actor_name = models.CharField(max_length=200, blank=True, default="")
    tenant_id = models.UUIDField(null=True)
    target_kind = models.CharField(max_length=40, blank=True, default="")
    target_id = models.CharField(max_length=64, blank=True, default="")
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "operator audit entries"
        indexes = [models.Index(fields=["-at"], name="governance_opaudit_time")]
