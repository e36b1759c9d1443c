"""No way from a tenant to operator rights, not even with SQL under the tenant plane's role.

Each attack runs on a connection of its own, signed in as lockstep_tenant, as an attacker with SQL in the
portal, the gateway or a worker would have it.
"""

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from apps.tenancy.types import TenantRef
from tests.planes import control_plane

DENIED = errors.InsufficientPrivilege
OPERATOR = "(id, email, password, name, role, is_operator, is_active, session_epoch, created_at)"
MEMBER_VALUES = "(gen_random_uuid(), 'evil@evil.example', '', '', 'owner', false, true, 0, now())"
VALUES = "(gen_random_uuid(), 'evil@evil.example', '', '', 'owner', true, true, 0, now())"


def _attack(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO public.identity_user {OPERATOR} VALUES {VALUES}",
        "UPDATE public.identity_user SET password = ''",
        "DELETE FROM public.identity_user",
        "SELECT email FROM public.identity_user",
        "TRUNCATE public.identity_user CASCADE",
        "DO $$ BEGIN LOCK TABLE public.identity_user; END $$",
        "COPY public.identity_user TO STDOUT",
        "COPY public.identity_user FROM STDIN",
        "SELECT * FROM public.identity_session",
        f"INSERT INTO public.identity_session (session_key) VALUES ('{'0' * 64}')",
        "SELECT * FROM public.governance_operatorauditentry",
        "DELETE FROM public.governance_operatorauditentry",
        "INSERT INTO public.governance_operatorauditentry (action) VALUES ('x')",
        "SELECT * FROM public.django_admin_log",
        "SELECT * FROM public.tenancy_schemamigration",
        "SELECT * FROM public.tenancy_spareschema",
        "UPDATE public.tenancy_tenant SET state = 'ready'",
        "INSERT INTO public.tenancy_domain (domain, is_primary, tenant_id) "
        "SELECT 'operator.localhost', false, id FROM public.tenancy_tenant LIMIT 1",
        "UPDATE public.ai_usage_costrate SET cost_per_million = 0",
        "UPDATE public.ai_usage_provider SET base_url = 'https://evil.example'",
        "INSERT INTO public.ai_usage_credential (id) VALUES (gen_random_uuid())",
        "UPDATE public.ai_usage_route SET enabled = true",
        "INSERT INTO public.django_migrations (app, name, applied) VALUES ('x', 'x', now())",
        # The foreign keys of a table that may be written must not become a way to read or lock the
        # operators'.
        "SELECT u.email FROM public.tenancy_tenant t JOIN public.identity_user u ON true",
        "WITH gone AS (DELETE FROM public.identity_user RETURNING id) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM public.identity_user",
        "CREATE TABLE t_copy AS SELECT * FROM public.identity_user",
        f"PREPARE evil AS INSERT INTO public.identity_user {OPERATOR} VALUES {VALUES}; EXECUTE evil",
        "DO $$ BEGIN EXECUTE 'UPDATE public.identity_user SET is_active = true'; END $$",
        "MERGE INTO public.identity_user u USING (SELECT 1) s ON false WHEN NOT MATCHED THEN DO NOTHING",
    ],
)
def test_operators_and_the_operators_tables_are_out_of_reach(
    as_tenant_role: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(DENIED):
        _attack(as_tenant_role, statement)


def test_no_table_of_public_is_open_that_no_model_declares(
    as_tenant_role: psycopg.Connection, services: Any
) -> None:
    from apps.tenancy.grants import declared_privileges

    declared = {table for table, _ in declared_privileges("public")}
    with psycopg.connect(services.control_url) as owner:
        every = {
            name for (name,) in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        }
    hidden = every - declared

    readable = []
    for table in sorted(hidden):
        try:
            as_tenant_role.execute(sql.SQL("SELECT 1 FROM public.{} LIMIT 1").format(sql.Identifier(table)))
        except DENIED:
            continue
        readable.append(table)

    assert readable == []
    assert {
        "identity_user",
        "identity_session",
        "governance_operatorauditentry",
        "django_admin_log",
    } <= hidden
    assert any(table.startswith("djstripe_") for table in hidden)


def test_nobody_in_a_tenants_schema_can_be_an_operator(
    as_tenant_role: psycopg.Connection, acme: TenantRef
) -> None:
    table = f'"{acme.schema}".identity_user'

    with pytest.raises(errors.CheckViolation):
        _attack(as_tenant_role, f"INSERT INTO {table} {OPERATOR} VALUES {VALUES}")
    _attack(as_tenant_role, f"INSERT INTO {table} {OPERATOR} VALUES {MEMBER_VALUES}")
    try:
        with pytest.raises(errors.CheckViolation):
            _attack(as_tenant_role, f"UPDATE {table} SET is_operator = true")
        with pytest.raises(errors.CheckViolation):
            _attack(
                as_tenant_role,
                f"INSERT INTO {table} {OPERATOR} VALUES {MEMBER_VALUES} "
                "ON CONFLICT (email) DO UPDATE SET is_operator = true",
            )
    finally:
        _attack(as_tenant_role, f"DELETE FROM {table} WHERE email = 'evil@evil.example'")


def test_in_public_only_operators_can_be(services: Any) -> None:
    with psycopg.connect(services.control_url) as owner, pytest.raises(errors.CheckViolation):
        owner.execute(f"INSERT INTO public.identity_user {OPERATOR} VALUES {MEMBER_VALUES}".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {schema}.identity_user DROP CONSTRAINT identity_user_no_operator_in_a_tenant",
        "ALTER TABLE {schema}.identity_user DISABLE TRIGGER ALL",
        "ALTER TABLE {schema}.identity_user ALTER COLUMN is_operator SET DEFAULT true",
        "ALTER TABLE {schema}.identity_user ADD COLUMN is_superuser boolean",
        "ALTER TABLE {schema}.identity_user OWNER TO lockstep_tenant",
        "ALTER TABLE {schema}.identity_user SET SCHEMA public",
        "ALTER TABLE {schema}.identity_user RENAME TO identity_old",
        "ALTER TABLE {schema}.identity_user INHERIT public.identity_user",
        "DROP TABLE {schema}.identity_user CASCADE",
        "TRUNCATE {schema}.identity_user CASCADE",
        "ALTER SCHEMA {schema} RENAME TO mine",
        "DROP SCHEMA {schema} CASCADE",
        "CREATE TABLE {schema}.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMPORARY TABLE identity_user (id int)",
        "CREATE SCHEMA mine",
        "CREATE VIEW {schema}.mine AS SELECT * FROM public.identity_user",
        "CREATE VIEW public.mine AS SELECT 1",
        "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION {schema}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
        "'BEGIN UPDATE public.identity_user SET is_active = true; RETURN NEW; END'",
        "CREATE PROCEDURE {schema}.mine() LANGUAGE sql AS 'SELECT 1'",
        "CREATE AGGREGATE {schema}.mine (int) (sfunc = int4pl, stype = int)",
        "CREATE OPERATOR {schema}.=== (procedure = int4eq, leftarg = int, rightarg = int)",
        "CREATE CAST (text AS int) WITH INOUT",
        "CREATE DOMAIN {schema}.mine AS int",
        "CREATE TYPE {schema}.mine AS (id int)",
        "CREATE RULE mine AS ON INSERT TO {schema}.identity_user DO ALSO DELETE FROM public.identity_user",
        "CREATE TRIGGER mine BEFORE UPDATE ON {schema}.identity_user EXECUTE FUNCTION mine()",
        "CREATE INDEX mine ON {schema}.identity_user (email)",
        "CREATE POLICY mine ON public.ai_usage_tenantdaily USING (true)",
        "CREATE STATISTICS {schema}.mine ON email, name FROM {schema}.identity_user",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER mine FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE PUBLICATION mine FOR ALL TABLES",
        "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION tsvector_update_trigger()",
        "CREATE LANGUAGE plpython3u",
        "COMMENT ON TABLE {schema}.identity_user IS 'mine'",
        "REINDEX TABLE {schema}.identity_user",
        "GRANT ALL ON public.identity_user TO lockstep_tenant",
        "ALTER DEFAULT PRIVILEGES FOR ROLE lockstep_control GRANT ALL ON TABLES TO lockstep_tenant",
    ],
)
def test_what_tables_are_and_who_owns_them_is_not_the_tenant_planes_to_change(
    as_tenant_role: psycopg.Connection, acme: TenantRef, statement: str
) -> None:
    # A missing language, extension or wrapper is refused before privileges are looked at.
    absent = (errors.UndefinedFile, errors.UndefinedObject, errors.FeatureNotSupported)
    with pytest.raises((DENIED, *absent)):
        _attack(as_tenant_role, statement.format(schema=f'"{acme.schema}"'))


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT SELECT ON {schema}.governance_entitlements TO PUBLIC",
        "REVOKE ALL ON {schema}.identity_user FROM lockstep_control",
    ],
)
def test_what_the_role_may_do_it_cannot_pass_on_or_take_from_the_owner(
    as_tenant_role: psycopg.Connection, services: Any, acme: TenantRef, statement: str
) -> None:
    granted = "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = %s::regnamespace ORDER BY 1"
    with psycopg.connect(services.control_url, autocommit=True) as owner:
        before = owner.execute(granted, (acme.schema,)).fetchall()

        # PostgreSQL answers with a warning, and does nothing.
        _attack(as_tenant_role, statement.format(schema=f'"{acme.schema}"'))

        assert owner.execute(granted, (acme.schema,)).fetchall() == before


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE lockstep_control",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION lockstep_control",
        "GRANT lockstep_control TO lockstep_tenant",
        "ALTER ROLE lockstep_tenant SUPERUSER",
        "ALTER ROLE lockstep_tenant BYPASSRLS",
        "ALTER ROLE lockstep_tenant CREATEROLE",
        "ALTER ROLE lockstep_control PASSWORD 'mine'",
        "CREATE ROLE mine SUPERUSER LOGIN",
        "ALTER DATABASE {database} OWNER TO lockstep_tenant",
        "ALTER DATABASE {database} SET search_path = mine",
        "CREATE DATABASE mine",
        "ALTER SYSTEM SET session_preload_libraries = 'mine'",
        "LOAD '/tmp/mine.so'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY public.tenancy_tenant (name) TO '/tmp/mine'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_shadow",
        "SELECT pg_reload_conf()",
        "SELECT pg_rotate_logfile()",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lockstep_control'",
        "SELECT pg_create_logical_replication_slot('mine', 'test_decoding')",
        "SET session_replication_role = replica",
        "SET log_statement = 'none'",
        "REASSIGN OWNED BY lockstep_control TO lockstep_tenant",
        "DROP OWNED BY lockstep_control",
    ],
)
def test_there_is_no_role_file_or_program_to_reach_for(
    as_tenant_role: psycopg.Connection, services: Any, statement: str
) -> None:
    with psycopg.connect(services.control_url), pytest.raises(DENIED):
        _attack(as_tenant_role, statement.format(database=as_tenant_role.info.dbname))


def test_resetting_the_role_leads_back_to_the_same(as_tenant_role: psycopg.Connection) -> None:
    _attack(as_tenant_role, "RESET ROLE")
    _attack(as_tenant_role, "RESET SESSION AUTHORIZATION")

    row = as_tenant_role.execute("SELECT current_user, session_user").fetchone()

    assert row == ("lockstep_tenant", "lockstep_tenant")


def test_the_role_is_nothing_but_itself(services: Any) -> None:
    with psycopg.connect(services.superuser_url) as admin:
        attributes = admin.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles "
            "WHERE rolname = 'lockstep_tenant'"
        ).fetchone()
        member_of = admin.execute(
            "SELECT count(*) FROM pg_auth_members WHERE member = 'lockstep_tenant'::regrole"
        ).fetchone()
        control = admin.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles "
            "WHERE rolname = 'lockstep_control'"
        ).fetchone()

    assert attributes == (False,) * 5
    assert member_of == (0,)
    assert control == (False,) * 4


def test_no_function_of_ours_runs_with_its_owners_rights_for_others(services: Any) -> None:
    with psycopg.connect(services.superuser_url) as admin:
        lent = admin.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
            # A trigger's function cannot be called, only fired by the change that it belongs to.
            "AND p.prorettype <> 'trigger'::regtype "
            "AND has_function_privilege('lockstep_tenant', p.oid, 'EXECUTE')"
        ).fetchall()

    assert lent == []


def test_a_half_made_schema_does_not_fall_through_to_the_operators(
    as_tenant_role: psycopg.Connection,
) -> None:
    _attack(as_tenant_role, "SET search_path = t_notmade0, public")

    with pytest.raises(DENIED):
        _attack(as_tenant_role, "SELECT email FROM identity_user")


def test_a_new_table_is_closed_until_its_model_opens_it(
    as_tenant_role: psycopg.Connection, services: Any, acme: TenantRef
) -> None:
    tables = ("public.just_made", f'"{acme.schema}".just_made')
    with psycopg.connect(services.control_url, autocommit=True) as owner:
        try:
            for table in tables:
                owner.execute(f"CREATE TABLE {table} (id int)".encode())
                with pytest.raises(DENIED):
                    _attack(as_tenant_role, f"SELECT * FROM {table}")
        finally:
            for table in tables:
                owner.execute(f"DROP TABLE IF EXISTS {table}".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {schema}.governance_auditentry SET action = 'x'",
        "DELETE FROM {schema}.governance_auditentry",
        "TRUNCATE {schema}.governance_auditentry",
        "UPDATE {schema}.governance_entitlements SET snapshot = '{{}}'",
        "INSERT INTO {schema}.governance_entitlements (id, version, snapshot) VALUES (2, 1, '{{}}')",
        "UPDATE {schema}.ai_usage_usageevent SET price = 0",
        "DELETE FROM {schema}.ai_usage_usageevent",
        "UPDATE {schema}.ai_usage_call SET price = 0",
        "DELETE FROM public.jobs_workticket",
    ],
)
def test_what_is_written_once_or_bought_is_not_the_tenant_planes_to_rewrite(
    as_tenant_role: psycopg.Connection, acme: TenantRef, statement: str
) -> None:
    with pytest.raises(DENIED):
        _attack(as_tenant_role, statement.format(schema=f'"{acme.schema}"'))


def test_control_is_a_plane_and_not_a_way_round(acme: TenantRef) -> None:
    """Tests themselves begin as the tenant plane: what they do without saying so has the least rights."""
    from django.db import connection

    from apps.tenancy.services import in_public

    with in_public(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("lockstep_tenant",)
    with control_plane(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("lockstep_control",)
