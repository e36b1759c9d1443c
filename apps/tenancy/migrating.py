"""The migration controller: brings `public` and every schema to the code's head, resumably, skipping no-ops."""

import hashlib
import time
from collections.abc import Callable, Iterable

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from apps.tenancy import context, grants
from apps.tenancy.models import SchemaMigration, SpareSchema, Tenant
from apps.tenancy.types import Scope, TenantState


def code_head() -> str:
    """A digest of every migration the code knows; a schema that was brought to it needs no visit."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = sorted(f"{app}.{name}" for app, name in loader.disk_migrations)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def migrate_schema(schema: str) -> None:
    """Run all missing migrations in one schema and set the tenant plane's privileges there."""
    with context.in_scope(Scope(schema=schema, sees_public=False)):
        # Otherwise the migration table found is the one in `public`, and nothing would run.
        MigrationRecorder(connection).ensure_schema()
    with context.in_scope(Scope(schema=schema)):
        _migrate_tenant_apps()
        grants.apply_grants()


def _migrate_tenant_apps() -> None:
    """The migrations of the apps that have tables here, and no others.

    `migrate` would walk the shared apps' migrations too, to find in each operation that it is not for this schema;
    with dj-stripe's 62 tables among them that takes most of the time of making a tenant.
    """
    executor = MigrationExecutor(connection)
    executor.loader.check_consistent_history(connection)
    labels = {config.label for config in apps.get_app_configs() if config.name in settings.TENANT_APPS}
    executor.migrate([node for node in executor.loader.graph.leaf_nodes() if node[0] in labels])


def migrate_public() -> None:
    """Bring the shared tables to head; safe to run twice, also at once."""
    with context.in_public(), _locked("public"):
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        grants.apply_grants()
        grants.apply_row_security()


def migrate_tenants(report: Callable[[str], None] = lambda line: None) -> list[str]:
    """Bring every tenant's and every spare schema to head; return the names of those that failed.

    One failed schema does not stop the others: its error is on its SchemaMigration row and the next run
    takes it up again.
    """
    head = code_head()
    failed = []
    with context.in_public():
        for schema in _schemas():
            row, _ = SchemaMigration.objects.get_or_create(schema_name=schema)
            if row.head == head and row.state == "done":
                continue
            report(f"Migrating {schema}")
            if not _migrate_one(row, head):
                failed.append(schema)
    return failed


def _schemas() -> Iterable[str]:
    living = Tenant.objects.exclude(state__in=[TenantState.DELETED, TenantState.PROVISIONING])
    yield from (tenant.schema_name for tenant in living)
    yield from (f"t_{ref}" for ref in SpareSchema.objects.values_list("ref", flat=True))


def _migrate_one(row: SchemaMigration, head: str) -> bool:
    row.state, row.attempts = "running", row.attempts + 1
    row.save()
    began = time.monotonic()
    try:
        with _locked(row.schema_name):
            migrate_schema(row.schema_name)
    except Exception as error:  # noqa: BLE001  (whatever a migration raises belongs on its row)
        row.state, row.error = "failed", f"{type(error).__name__}: {error}"
        row.save()
        return False
    record_head(row.schema_name, head, int((time.monotonic() - began) * 1000), row.attempts)
    return True


def record_head(schema: str, head: str, took_ms: int, attempts: int = 1) -> None:
    """Note that a schema stands at a head."""
    SchemaMigration.objects.update_or_create(
        schema_name=schema,
        defaults={
            "head": head,
            "state": "done",
            "error": "",
            "took_ms": took_ms,
            "attempts": attempts,
            "finished_at": timezone.now(),
        },
    )


class _locked:
    """A session advisory lock on a schema's name, so that two controllers never migrate one schema at once."""

    def __init__(self, schema: str) -> None:
        self.schema = schema

    def __enter__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 7))", (self.schema,))

    def __exit__(self, *_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 7))", (self.schema,))
