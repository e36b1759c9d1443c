"""What `lockstep_tenant` may do, table by table; everything not named here it may not.

A model says so itself: `tenant_plane = "SELECT"` (or `"SELECT, INSERT"` …) on the class. In a tenant's schema
the default is full DML, since the rows are the tenant's own; in `public` the default is nothing.
"""

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db import connection, models

from apps.tenancy import context

FULL = "SELECT, INSERT, UPDATE, DELETE"


def apply_grants() -> None:
    """Make the privileges in the schema in force exactly what the models declare. Idempotent."""
    schema = context.scope().schema
    role = settings.TENANT_ROLE
    with connection.cursor() as cursor:
        cursor.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {role}')
        cursor.execute(f'REVOKE ALL ON ALL TABLES IN SCHEMA "{schema}" FROM {role}')
        cursor.execute(f'REVOKE ALL ON ALL SEQUENCES IN SCHEMA "{schema}" FROM {role}')
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,))
        present = {name for (name,) in cursor.fetchall()}
        for table, privileges in declared_privileges(schema):
            if table in present:
                cursor.execute(f'GRANT {privileges} ON "{schema}"."{table}" TO {role}')
        if schema != "public":
            cursor.execute(f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO {role}')


def declared_privileges(schema: str) -> Iterator[tuple[str, str]]:
    """Table and privileges for each table of a schema on which the tenant plane has any."""
    in_public = schema == "public"
    for model in apps.get_models(include_auto_created=True):
        if not is_placed_in(model, in_public):
            continue
        privileges = getattr(model, "tenant_plane", "" if in_public else FULL)
        # The user table and sessions exist in both places. In public they are the operators'.
        if in_public and getattr(model, "schema", None) is None:
            privileges = ""
        if privileges:
            yield model._meta.db_table, privileges


def is_placed_in(model: type[models.Model], in_public: bool) -> bool:
    """Whether a model's table exists in public, or in tenant schemas."""
    listed = settings.SHARED_APPS if in_public else settings.TENANT_APPS
    if apps.get_app_config(model._meta.app_label).name not in listed:
        return False
    place = getattr(model, "schema", None)
    return place is None or (place == "public") == in_public


def apply_row_security() -> None:
    """Shared rows of one tenant (`row_security = "tenant_id"` on the model): the tenant plane sees its own only."""
    with connection.cursor() as cursor:
        for model in apps.get_models():
            column = getattr(model, "row_security", None)
            if not column:
                continue
            table = model._meta.db_table
            cursor.execute(f'ALTER TABLE public."{table}" ENABLE ROW LEVEL SECURITY')
            cursor.execute(f'DROP POLICY IF EXISTS own_tenant ON public."{table}"')
            cursor.execute(
                f'CREATE POLICY own_tenant ON public."{table}" TO {settings.TENANT_ROLE} '
                f"USING ({column} = nullif(current_setting('lockstep.tenant_id', true), '')::uuid)"
            )
