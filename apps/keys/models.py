"""The API key as stored: enough to recognise a secret, never to reproduce it."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class ServiceAccount(models.Model):
    """A program that acts for the tenant: owns keys and outlives the person who made it."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80, unique=True)
    description = models.CharField(max_length=300, blank=True, default="")
    disabled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """The vocabulary of key states."""

    def usable(self, at: datetime) -> Self:
        """Neither revoked, disabled nor expired at this moment."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None, disabled_at=None
        )


class ApiKey(models.Model):
    """One secret's record. No tenant column: the table lives in the tenant's schema."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    environment = models.CharField(max_length=4, default="live")  # live | test; also in the secret's prefix

    # The keyid10 of lk_live_<tenant8>_<keyid10>_<secret32>_<crc6>. Not confidential: people see it in
    # lists and logs, and the gateway finds the row by it before comparing digests.
    key_id = models.CharField(max_length=10, unique=True)
    digest = models.BinaryField(max_length=32)
    pepper_id = models.PositiveSmallIntegerField()

    # The owner: a member or a service account, never both.
    member = models.ForeignKey(
        "identity.User", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    service_account = models.ForeignKey(
        ServiceAccount, null=True, blank=True, on_delete=models.CASCADE, related_name="keys"
    )
    # A child key is a subset of its parent, short-lived, and dies with it.
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")

    scopes = ArrayField(models.CharField(max_length=40), default=list)
    # Empty lists mean "no restriction of its own": the plan and the policies still decide.
    models_allowed = ArrayField(models.CharField(max_length=120), default=list)
    addresses_allowed = ArrayField(models.CharField(max_length=43), default=list)  # CIDR, v4 or v6
    tags = models.JSONField(default=dict)  # for cost attribution; copied onto each call

    # Limits of this key alone, inside the plan's. None: only the plan's apply.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_calls = models.PositiveIntegerField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=64, blank=True, default="")  # the actor's id
    expires_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=200, blank=True, default="")
    # Rotation: the key that takes over; until `expires_at` both work and this one says it is deprecated.
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    # Written in batches at most once a minute. If the gateway wrote them per request, every request would
    # update the row that every other request reads.
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=45, blank=True, default="")
    last_used_agent = models.CharField(max_length=200, blank=True, default="")

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="keys_apikey_one_owner",
                condition=Q(member=None, service_account__isnull=False)
                | Q(member__isnull=False, service_account=None),
            ),
            models.CheckConstraint(
                name="keys_apikey_expires_after_creation",
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")),
            ),
            models.CheckConstraint(
                name="keys_apikey_environment", condition=Q(environment__in=["live", "test"])
            ),
        ]

    def __str__(self) -> str:
        return self.name
