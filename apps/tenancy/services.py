"""Everything that changes a tenant: making its schema, serving it, suspending it, erasing it."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.tenancy import context, migrating
from apps.tenancy.context import in_public as in_public
from apps.tenancy.context import in_tenant as in_tenant
from apps.tenancy.errors import InvalidSlug, SlugTaken, WrongState
from apps.tenancy.hosts import hosts_changed
from apps.tenancy.models import Domain, SchemaMigration, SpareSchema, Tenant
from apps.tenancy.types import Scope, TenantRef, TenantState

_SLUG = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,38}[a-z0-9]\Z")
_RESERVED = {"operator", "www", "api", "admin", "static", "public", "gateway", "mail", "status", "docs"}
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def begin_tenant(*, slug: str, name: str) -> TenantRef:
    """Write down that a tenant is wanted, and its host. Repeating it for one still in provisioning resumes it."""
    if not _SLUG.match(slug) or slug in _RESERVED:
        raise InvalidSlug(slug)
    with context.in_public(), transaction.atomic():
        # One at a time per slug, so that two requests make one tenant and the second learns it.
        _lock(f"slug:{slug}")
        known = Tenant.objects.filter(slug=slug).first()
        if known and known.state != TenantState.PROVISIONING:
            raise SlugTaken(slug)
        if known:
            return known.as_ref()
        spare = SpareSchema.objects.select_for_update(skip_locked=True).order_by("created_at").first()
        ref = spare.ref if spare else new_ref()
        if spare:
            spare.delete()
        tenant = Tenant.objects.create(ref=ref, slug=slug, name=name)
        Domain.objects.create(tenant=tenant, domain=f"{slug}.{settings.BASE_DOMAIN}", is_primary=True)
        return tenant.as_ref()


def build_schema(tenant: TenantRef) -> None:
    """Make the tenant's schema whole. A schema taken from the spares or left half-made by a crash is finished."""
    with context.in_public():
        known = SchemaMigration.objects.filter(schema_name=tenant.schema, state="done").first()
        if known and known.head == migrating.code_head():
            return
        make_schema(tenant.schema)


def make_schema(schema: str) -> None:
    """Create and migrate one schema; run again after a crash it carries on where it stopped."""
    began = time.monotonic()
    with context.in_public(), connection.cursor() as cursor:
        cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}" AUTHORIZATION CURRENT_USER')
    migrating.migrate_schema(schema)
    with context.in_public():
        migrating.record_head(schema, migrating.code_head(), int((time.monotonic() - began) * 1000))


def mark_ready(tenant: TenantRef) -> TenantRef:
    """Start serving a tenant: the last step of provisioning. Doing it twice changes nothing."""
    return _move(tenant, TenantState.READY, allowed={TenantState.PROVISIONING, TenantState.READY})


def set_suspended(tenant: TenantRef, *, reason: str) -> TenantRef:
    """Stop a tenant's use, keep its data. Callers go through governance, which also tells the gateway."""
    return _move(
        tenant,
        TenantState.SUSPENDED,
        allowed={TenantState.READY, TenantState.SUSPENDED},
        suspended_reason=reason,
    )


def set_resumed(tenant: TenantRef) -> TenantRef:
    """Serve a suspended tenant again."""
    return _move(tenant, TenantState.READY, allowed={TenantState.SUSPENDED}, suspended_reason="")


def set_deleting(tenant: TenantRef, *, grace: timedelta) -> TenantRef:
    """Stop serving at once; the data goes when the grace time has passed, until then it can be taken back."""
    return _move(
        tenant,
        TenantState.DELETING,
        allowed={TenantState.READY, TenantState.SUSPENDED, TenantState.PROVISIONING, TenantState.DELETING},
        suspended_reason="",
        delete_after=timezone.now() + grace,
    )


def erase_due_tenants(now: datetime) -> list[TenantRef]:
    """Drop the schema of each tenant whose grace time has passed. The row stays, for the operator's books."""
    with context.in_public():
        due = Tenant.objects.filter(state=TenantState.DELETING, delete_after__lte=now)
        return [_erase(tenant) for tenant in due]


def _erase(tenant: Tenant) -> TenantRef:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (tenant.schema_name,))
        # Table by table: one DROP SCHEMA … CASCADE would hold every lock of a large schema at once.
        for (table,) in cursor.fetchall():
            cursor.execute(f'DROP TABLE IF EXISTS "{tenant.schema_name}"."{table}" CASCADE')
        cursor.execute(f'DROP SCHEMA IF EXISTS "{tenant.schema_name}" CASCADE')
    with transaction.atomic():
        tenant.domains.all().delete()
        SchemaMigration.objects.filter(schema_name=tenant.schema_name).delete()
        # The slug becomes free; the name is not needed for the books, which go by the tenant's id.
        Tenant.objects.filter(pk=tenant.pk).update(
            state=TenantState.DELETED, slug=f"deleted-{tenant.ref}", name="Deleted tenant", delete_after=None
        )
        hosts_changed()
    tenant.refresh_from_db()
    return tenant.as_ref()


def refill_spare_schemas(wanted: int) -> int:
    """Keep this many migrated, empty schemas ready; returns how many were made."""
    made = 0
    with context.in_public():
        while SpareSchema.objects.count() < wanted:
            ref = new_ref()
            make_schema(f"t_{ref}")
            SpareSchema.objects.create(ref=ref)
            made += 1
    return made


@contextmanager
def in_provisioning(tenant: TenantRef) -> Iterator[None]:
    """Enter a tenant that is not served yet, to fill its schema. For provisioning only."""
    with context.in_scope(Scope(schema=tenant.schema, tenant=tenant)):
        yield


def lock_tenant(purpose: str = "") -> None:
    """Serialise the rest of this transaction with others of the tenant in force and the same purpose."""
    tenant = context.scope().tenant
    _lock(f"{tenant.id if tenant else 'public'}:{purpose}")


def new_ref() -> str:
    """A random eight-character name for a tenant or a schema."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def _move(tenant: TenantRef, to: TenantState, *, allowed: set[TenantState], **also: object) -> TenantRef:
    with context.in_public(), transaction.atomic():
        row = Tenant.objects.select_for_update().get(pk=tenant.id)
        if row.state not in allowed:
            raise WrongState(row.slug, row.state, " or ".join(sorted(allowed)))
        row.state = to.value
        for field, value in also.items():
            setattr(row, field, value)
        row.save()
        hosts_changed()
    return row.as_ref()


def _lock(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 11))", (name,))
