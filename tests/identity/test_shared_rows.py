"""Shared rows of one tenant are not another's, and privileges are exactly what models declare."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.apps import apps
from psycopg import errors

from apps.tenancy.grants import declared_privileges
from apps.tenancy.types import TenantRef

ROW_SECURED = sorted(
    (model._meta.db_table, model.row_security)
    for model in apps.get_models()
    if getattr(model, "row_security", None)
)


@pytest.fixture
def a_day_of_each(services: Any, acme: TenantRef, globex: TenantRef) -> Iterator[None]:
    """One committed row of each tenant in a shared table."""
    day = datetime(2020, 1, 1, tzinfo=UTC).date()
    with psycopg.connect(services.control_url, autocommit=True) as owner:
        for tenant in (acme, globex):
            owner.execute(
                "INSERT INTO public.ai_usage_tenantdaily "
                "(tenant_id, day, model, currency, input_tokens, output_tokens, cost, price) "
                "VALUES (%s, %s, 'm', 'USD', 1, 1, 1, 1)",
                (tenant.id, day),
            )
        try:
            yield
        finally:
            owner.execute("DELETE FROM public.ai_usage_tenantdaily WHERE day = %s", (day,))


def _seen(connection: psycopg.Connection) -> list[Any]:
    rows = connection.execute("SELECT tenant_id FROM public.ai_usage_tenantdaily WHERE day = '2020-01-01'")
    return [tenant_id for (tenant_id,) in rows]


@pytest.mark.usefixtures("a_day_of_each")
def test_each_tenant_sees_its_own_shared_rows_only(
    as_tenant_role: psycopg.Connection, acme: TenantRef, globex: TenantRef
) -> None:
    assert _seen(as_tenant_role) == []
    for tenant in (acme, globex):
        as_tenant_role.execute("SELECT set_config('lockstep.tenant_id', %s, false)", (str(tenant.id),))
        assert _seen(as_tenant_role) == [tenant.id]
    as_tenant_role.execute("SELECT set_config('lockstep.tenant_id', '', false)")
    assert _seen(as_tenant_role) == []


@pytest.mark.usefixtures("a_day_of_each")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM public.ai_usage_tenantdaily WHERE tenant_id = '{globex}'",
        "SELECT * FROM public.ai_usage_tenantdaily WHERE tenant_id <> '{acme}' OR true LIMIT 1 OFFSET 1",
        "SELECT d.* FROM public.ai_usage_tenantdaily d JOIN public.tenancy_tenant t ON t.id = d.tenant_id "
        "WHERE t.slug = 'globex'",
    ],
)
def test_asking_for_anothers_rows_finds_nothing(
    as_tenant_role: psycopg.Connection, acme: TenantRef, globex: TenantRef, statement: str
) -> None:
    as_tenant_role.execute("SELECT set_config('lockstep.tenant_id', %s, false)", (str(acme.id),))

    found = as_tenant_role.execute(statement.format(acme=acme.id, globex=globex.id).encode()).fetchall()

    assert found == []


@pytest.mark.usefixtures("a_day_of_each")
def test_row_security_cannot_be_turned_off(as_tenant_role: psycopg.Connection) -> None:
    as_tenant_role.execute("SET row_security = off")

    with pytest.raises(errors.InsufficientPrivilege):
        _seen(as_tenant_role)
    for statement in (
        "ALTER TABLE public.ai_usage_tenantdaily DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_tenant ON public.ai_usage_tenantdaily",
        "ALTER POLICY own_tenant ON public.ai_usage_tenantdaily USING (true)",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            as_tenant_role.execute(statement.encode())


@pytest.mark.parametrize(("table", "column"), ROW_SECURED)
def test_every_shared_table_that_says_so_is_secured_row_by_row(
    services: Any, table: str, column: str
) -> None:
    with psycopg.connect(services.control_url) as owner:
        secured = owner.execute(
            "SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass", (f"public.{table}",)
        )
        assert secured.fetchone() == (True,)
        policies = owner.execute(
            "SELECT policyname, roles::text[], cmd, qual FROM pg_policies "
            "WHERE schemaname = 'public' AND tablename = %s",
            (table,),
        ).fetchall()

    assert [(name, roles) for name, roles, _, _ in policies] == [("own_tenant", ["lockstep_tenant"])]
    assert column in policies[0][3] and "lockstep.tenant_id" in policies[0][3]


def test_whatever_names_its_tenant_and_can_be_read_is_secured_or_meant_to_be_shared() -> None:
    # A worker claims any tenant's work; a host leads to its tenant before there is one in force.
    shared = {"jobs_workticket", "jobs_share", "tenancy_domain"}
    readable = {table for table, _ in declared_privileges("public")}

    open_to_all = {
        model._meta.db_table
        for model in apps.get_models()
        if model._meta.db_table in readable
        and not getattr(model, "row_security", None)
        and any(field.attname == "tenant_id" for field in model._meta.concrete_fields)
    }

    assert open_to_all == shared


_ACTUAL = """
SELECT c.relname, acl.privilege_type
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl
 WHERE n.nspname = %s AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
   AND acl.grantee IN (0, 'lockstep_tenant'::regrole)
"""


@pytest.mark.parametrize("which", ["public", "acme", "globex"])
def test_privileges_in_the_catalogue_are_exactly_those_that_models_declare(
    services: Any, request: pytest.FixtureRequest, which: str
) -> None:
    schema = "public" if which == "public" else request.getfixturevalue(which).schema
    wanted: dict[str, set[str]] = {}
    for table, privileges in declared_privileges(schema):
        wanted.setdefault(table, set()).update(part.strip() for part in privileges.split(","))

    with psycopg.connect(services.superuser_url) as admin:
        present = {
            name
            for (name,) in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        }
        actual: dict[str, set[str]] = {}
        for table, privilege in admin.execute(_ACTUAL, (schema,)):
            actual.setdefault(table, set()).add(privilege)
        by_column = admin.execute(
            "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND a.attacl IS NOT NULL",
            (schema,),
        ).fetchall()

    assert wanted.keys() <= present
    assert actual == wanted
    assert by_column == []


def test_the_tenant_plane_may_look_into_schemas_and_make_nothing_in_them(services: Any) -> None:
    with psycopg.connect(services.superuser_url) as admin:
        allowed = admin.execute(
            "SELECT n.nspname FROM pg_namespace n WHERE n.nspname !~ '^(pg_|information_schema)' "
            "AND has_schema_privilege('lockstep_tenant', n.oid, 'CREATE')"
        ).fetchall()
        database = admin.execute(
            "SELECT has_database_privilege('lockstep_tenant', current_database(), 'CREATE'), "
            "has_database_privilege('lockstep_tenant', current_database(), 'TEMPORARY')"
        ).fetchone()
        owned = admin.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = 'lockstep_tenant'::regrole"
        ).fetchone()

    assert allowed == []
    assert database == (False, False)
    assert owned == (0,)


def test_sequences_of_public_are_closed(services: Any) -> None:
    with psycopg.connect(services.superuser_url) as admin:
        usable = admin.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND CASE WHEN relkind = 'S' "
            "THEN has_sequence_privilege('lockstep_tenant', oid, 'USAGE, SELECT, UPDATE') ELSE false END"
        ).fetchall()

    assert usable == []
