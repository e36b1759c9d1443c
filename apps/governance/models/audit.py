"""The audit logs: each tenant's in its schema, the operators' in public."""

from django.db import models
from django.utils import timezone
from uuid_utils.compat import uuid7


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
