"""Policies and the operator's bounds on them: every version that ever was, written once."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class PolicyVersion(models.Model):
    """One version of a policy: of the tenant itself, a service account, a member or a key.

    The latest version that is not a shadow is in force; a shadow that is newer than that stands beside it. Written
    once: the tenant plane may insert and read, nothing else, so what was in force when can always be told.
    """

    schema = "tenant"
    tenant_plane = "SELECT, INSERT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    level = models.CharField(max_length=16)  # tenant | service_account | member | key
    subject_id = models.UUIDField(null=True)  # None for the tenant itself
    number = models.PositiveIntegerField()  # from 1, without gaps, of each subject
    mode = models.CharField(max_length=8)  # enforced | shadow | off
    rules = models.JSONField()  # governance.policies.rules; empty where the policy is off
    note = models.CharField(max_length=300, blank=True, default="")
    # The version whose rules this one repeats, where it was made by rolling back.
    restored_from = models.PositiveIntegerField(null=True)
    author_kind = models.CharField(max_length=20)
    author_id = models.CharField(max_length=64, blank=True, default="")
    author_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="governance_policy_level",
                condition=Q(level="tenant", subject_id=None)
                | Q(level__in=["service_account", "member", "key"], subject_id__isnull=False),
            ),
            models.CheckConstraint(
                name="governance_policy_mode", condition=Q(mode__in=["enforced", "shadow", "off"])
            ),
            models.UniqueConstraint(
                fields=["level", "subject_id", "number"],
                nulls_distinct=False,
                name="governance_policy_version_once",
            ),
        ]


class BoundVersion(models.Model):
    """What a version of bounds holds, wherever it lives. The newest is in force, unless it was taken away."""

    number = models.PositiveIntegerField(primary_key=True)
    rules = models.JSONField()
    is_removed = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True, default="")
    author_id = models.CharField(max_length=64, blank=True, default="")
    author_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
        ordering = ["-number"]


class PolicyBound(BoundVersion):
    """The bounds that the operator sets for this tenant. The tenant reads them and cannot write them."""

    schema = "tenant"
    tenant_plane = "SELECT"


class PolicyDefaultBound(BoundVersion):
    """The bounds of every tenant that has none of its own."""

    schema = "public"
    tenant_plane = "SELECT"

    class Meta(BoundVersion.Meta):
        verbose_name = "policy bounds of every tenant"
        verbose_name_plural = "policy bounds of every tenant"

    def __str__(self) -> str:
        return f"version {self.number}"
