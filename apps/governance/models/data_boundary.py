"""A tenant's data boundary, what the operator requires of all, and what is kept of prompts and answers."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class DataBoundary(models.Model):
    """What is done about personal data and secrets: one row, replaced whole; its history is in the audit log."""

    schema = "tenant"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.PositiveBigIntegerField(default=1)
    # The form is data_boundary.policy.Boundary.
    settings = models.JSONField()
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="governance_boundary_one_row", condition=Q(id=1))]


class DataBoundaryFloor(models.Model):
    """What the operator requires of every tenant at least: one row. Tenants read it and cannot write it."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # The form is data_boundary.policy.Floor.
    settings = models.JSONField()
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="governance_boundaryfloor_one_row", condition=Q(id=1))]


class ContentKey(models.Model):
    """A tenant's own data key, wrapped by the master key. Without its wrapped bytes, what it encrypted is gone."""

    schema = "tenant"

    number = models.PositiveIntegerField(primary_key=True)
    wrapped = models.BinaryField(null=True)  # None: destroyed
    created_at = models.DateTimeField(default=timezone.now)
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="governance_contentkey_whole_or_destroyed",
                condition=Q(wrapped=None, destroyed_at__isnull=False)
                | Q(wrapped__isnull=False, destroyed_at=None),
            )
        ]


class CallContent(models.Model):
    """What one call asked and was answered, after redaction, encrypted with the tenant's data key."""

    schema = "tenant"

    call_id = models.UUIDField(primary_key=True)
    key_number = models.PositiveIntegerField()
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="governance_content_expiry")]
