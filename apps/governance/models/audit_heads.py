"""What binds a tenant's audit log from outside its schema: signed heads, and holds that keep it whole."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class AuditHead(models.Model):
    """A signature over how far a tenant's log went at a moment; of kind `anchor`, over where removal stopped.

    Rows are only ever added: a trigger refuses the rest, even to the table's owner. The key that signs is not in the
    database, so whoever rewrites a log cannot write a head for it.
    """

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    number = models.BigIntegerField()  # gapless within the tenant
    kind = models.CharField(max_length=6)  # head | anchor
    day = models.DateField()  # UTC
    at = models.DateTimeField()
    # The last entry that the head covers; of an anchor, the last one that was removed. 0: none yet.
    sequence = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)  # of that entry
    previous = models.BinaryField(max_length=32)  # digest of the head before
    key_id = models.CharField(max_length=20)
    signature = models.BinaryField(max_length=64)  # Ed25519

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "number"], name="governance_head_once"),
            models.CheckConstraint(name="governance_head_kind", condition=Q(kind__in=["head", "anchor"])),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


class Hold(models.Model):
    """While one stands, nothing is removed from the log, however old."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reason = models.CharField(max_length=300)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField(default=timezone.now)
    lifted_by = models.CharField(max_length=200, blank=True, default="")
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class TenantHold(Hold):
    """A hold that the tenant set, and lifts."""

    schema = "tenant"
    tenant_plane = "SELECT, INSERT, UPDATE"

    class Meta:
        constraints = [
            models.UniqueConstraint(
                models.Value(1), condition=Q(lifted_at=None), name="governance_one_tenant_hold"
            )
        ]


class OperatorHold(Hold):
    """A hold that an operator set. The tenant sees it and cannot lift it."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    tenant_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id"], condition=Q(lifted_at=None), name="governance_one_operator_hold"
            )
        ]
