"""The API key as stored: enough to recognise a secret, never to reproduce it."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.keys.types import KEY_SCOPES


class ServiceAccount(models.Model):
    """A program that acts for the tenant: owns keys and outlives the person who made it."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True, default="")
    disabled_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("name"), name="keys_serviceaccount_name_any_case"),
            models.CheckConstraint(name="keys_serviceaccount_named", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """The vocabulary of key states."""

    def living(self, at: datetime) -> Self:
        """Neither revoked nor expired at this moment; a disabled key lives, since it can be enabled again."""
        return self.filter(expires_at__gt=at, revoked_at=None)

    def usable(self, at: datetime) -> Self:
        """Living and not disabled, itself; its owner and its parent have a say as well."""
        return self.living(at).filter(disabled_at=None)

    def counted(self, at: datetime) -> Self:
        """The keys that take one of the plan's places.

        Children live inside their parent's, and a key that was replaced gave its place to its successor.
        """
        return self.living(at).filter(parent=None, replaced_by=None)

    def with_context(self) -> Self:
        """Together with the owner and the parent, on which a key's state depends."""
        return self.select_related("member", "service_account", "parent")


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
    # A child key is a subset of its parent, short-lived, and dies with it. A trigger (migration 0002) refuses
    # a child with more scopes than its parent, with another owner or environment, and the child of a child.
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )

    scopes = ArrayField(models.CharField(max_length=40), default=list)
    # What whoever issued the key held at that moment: the constraint below says that nobody gives more.
    # Written once. What the owner holds now is asked on each use, so a demotion takes effect without touching
    # keys.
    issuer_scopes = ArrayField(models.CharField(max_length=40), default=list)
    # Empty lists mean "no restriction of its own": the plan and the policies still decide.
    models_allowed = ArrayField(models.CharField(max_length=120), default=list)
    addresses_allowed = ArrayField(
        models.CharField(max_length=43), default=list
    )  # CIDR, v4 or v6, normalised
    tags = models.JSONField(default=dict)  # text → text, for cost attribution; copied onto each call

    # Limits of this key alone, inside the plan's. None: only the plan's apply.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_calls = models.PositiveIntegerField(null=True, blank=True)
    # Shadow: these limits refuse nothing; what they would have refused is counted.
    shadow_limits = models.BooleanField(default=False, db_default=False)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=200, blank=True, default="")  # the actor's name, for people
    expires_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=200, blank=True, default="")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=200, blank=True, default="")
    # When its secret was first reported found in public.
    leaked_at = models.DateTimeField(null=True, blank=True)
    # Rotation: the key that takes over; until `expires_at` both work and this one says it is deprecated.
    replaced_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replaces"
    )

    # Written in batches at most once a minute. If the gateway wrote them per request, every request would
    # update the row that every other request reads.
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=45, blank=True, default="")
    last_used_agent = models.CharField(max_length=200, blank=True, default="")
    # From when its days without use are counted again: the last time it was enabled after being disabled.
    enabled_at = models.DateTimeField(null=True, blank=True)
    # When its owner was told that nobody uses it; use clears it.
    warned_unused_at = models.DateTimeField(null=True, blank=True)
    # When its end by time was written into the audit log; the key is refused from `expires_at` on without it.
    expiry_noted_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        # Ids are UUIDv7, so this is newest first, without ties.
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="keys_apikey_one_owner",
                condition=Q(member=None, service_account__isnull=False)
                | Q(member__isnull=False, service_account=None),
            ),
            # Not after creation: a rotation without overlap ends a key in the very moment it may have been
            # made.
            models.CheckConstraint(
                name="keys_apikey_expires_after_creation", condition=Q(expires_at__gte=F("created_at"))
            ),
            models.CheckConstraint(
                name="keys_apikey_environment", condition=Q(environment__in=["live", "test"])
            ),
            models.CheckConstraint(
                name="keys_apikey_known_scopes", condition=Q(scopes__contained_by=sorted(KEY_SCOPES))
            ),
            models.CheckConstraint(
                name="keys_apikey_within_issuer", condition=Q(scopes__contained_by=F("issuer_scopes"))
            ),
            models.CheckConstraint(name="keys_apikey_not_its_parent", condition=~Q(parent=F("id"))),
        ]

    def __str__(self) -> str:
        return self.name


class KeyPolicy(models.Model):
    """What the tenant asks of all its keys: one row, absent while the defaults of types.KeyPolicy hold."""

    schema = "tenant"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    default_days = models.PositiveSmallIntegerField(default=90)
    maximum_days = models.PositiveSmallIntegerField(default=365)
    warn_unused_days = models.PositiveSmallIntegerField(null=True, blank=True, default=60)
    disable_unused_days = models.PositiveSmallIntegerField(null=True, blank=True, default=90)
    revoke_on_leak = models.BooleanField(default=True)
    addresses_allowed = ArrayField(models.CharField(max_length=43), default=list)

    class Meta:
        constraints = [
            models.CheckConstraint(name="keys_keypolicy_one_row", condition=Q(id=1)),
            models.CheckConstraint(
                name="keys_keypolicy_lifetimes",
                condition=Q(default_days__gte=1, maximum_days__gte=F("default_days"), maximum_days__lte=365),
            ),
        ]


class IdempotentWrite(models.Model):
    """A write of the REST API that was done under an Idempotency-Key, and the answer it got."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The API key that wrote. Two keys may choose the same word without reading each other's answers.
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    word = models.CharField(max_length=255)  # the header's value
    # SHA-256 of method, path and body: the same word with another request is a mistake, not a repeat.
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    # The answer, encrypted under a key made of the caller's own secret, which is stored nowhere: an answer
    # may hold a secret that is shown once, and only who asked for it can have it repeated.
    answer = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "word"], name="keys_idempotentwrite_once")]
        indexes = [models.Index(fields=["created_at"], name="keys_idempotent_age")]
