"""Tenants, the hosts that lead to them, and empty schemas waiting for one."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.tenancy.types import TenantRef, TenantState


class Tenant(models.Model):
    """A customer company. The row outlives its schema: the operator's books point at it."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Public and permanent: the `<tenant8>` of the tenant's API keys, and with `t_` before it the schema's name.
    ref = models.CharField(max_length=8, unique=True, editable=False)
    slug = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    state = models.CharField(
        max_length=12,
        choices=[(state.value, state.value) for state in TenantState],
        default=TenantState.PROVISIONING.value,
    )
    # Why an operator suspended it, in words that the tenant's people see. Empty unless suspended.
    suspended_reason = models.CharField(max_length=300, blank=True, default="")
    # Set when deletion is asked for; the schema is dropped when this moment has passed.
    delete_after = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="tenancy_tenant_suspended_has_reason",
                condition=~Q(state=TenantState.SUSPENDED) | ~Q(suspended_reason=""),
            ),
            models.CheckConstraint(
                name="tenancy_tenant_known_state",
                condition=Q(state__in=[state.value for state in TenantState]),
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def schema_name(self) -> str:
        """The PostgreSQL schema that holds this tenant's data."""
        return f"t_{self.ref}"

    @property
    def email(self) -> str:
        """dj-stripe asks its subscriber for one; the address to bill is kept on the Stripe customer."""
        return ""

    def as_ref(self) -> TenantRef:
        """The value that other apps hold."""
        return TenantRef(
            id=self.id,
            ref=self.ref,
            slug=self.slug,
            name=self.name,
            schema=self.schema_name,
            state=TenantState(self.state),
        )


class Domain(models.Model):
    """A host name on which a tenant's portal answers."""

    schema = "public"
    tenant_plane = "SELECT"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="domains")
    # Lower case, without port or trailing dot: exactly what a normalised Host header is compared with.
    domain = models.CharField(max_length=253, unique=True)
    is_primary = models.BooleanField(default=False)

    class Meta:
        ordering = ["domain"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_primary=True), name="tenancy_domain_one_primary"
            )
        ]

    def __str__(self) -> str:
        return self.domain


class SpareSchema(models.Model):
    """A migrated, empty schema that the next tenant takes, so that sign-up costs milliseconds."""

    schema = "public"

    ref = models.CharField(max_length=8, primary_key=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.ref


class SchemaMigration(models.Model):
    """Where one schema stands: written by the migration controller, read by operators and metrics."""

    schema = "public"

    schema_name = models.CharField(max_length=63, primary_key=True)
    # Digest of the migration graph the schema was last brought to; equal to the code's = nothing to do.
    head = models.CharField(max_length=64, blank=True, default="")
    state = models.CharField(max_length=10, default="pending")  # pending | running | done | failed
    error = models.TextField(blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    took_ms = models.PositiveIntegerField(null=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.schema_name
