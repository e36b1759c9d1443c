"""A tenant from nothing to nothing: made, found by its host, suspended, erased; killed at any step in between."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy import migrating, selectors, services
from apps.tenancy.errors import InvalidSlug, SlugTaken, TenantNotReady, WrongState
from apps.tenancy.models import SchemaMigration, SpareSchema, Tenant
from apps.tenancy.types import TenantState
from tests.planes import control_plane

OPERATOR = Actor.system("tests")


def columns_of(schema: str) -> list[tuple]:
    """Every column, default and constraint of a schema, without the schema's own name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
            "WHERE table_schema = %s ORDER BY 1, 2",
            (schema,),
        )
        columns = cursor.fetchall()
        cursor.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = %s::regnamespace ORDER BY 1, 2",
            (schema,),
        )
        constraints = cursor.fetchall()
        cursor.execute(
            "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants "
            "WHERE table_schema = %s ORDER BY 1, 2, 3",
            (schema,),
        )
        grants = cursor.fetchall()
    return [
        tuple(str(value).replace(schema, "SCHEMA") for value in row)
        for row in [*columns, *constraints, *grants]
    ]


def test_a_tenant_made_from_a_spare_schema_is_identical_to_one_made_by_migrating(db):
    with control_plane():
        assert SpareSchema.objects.exists()
        spare = services.begin_tenant(slug="from-spare", name="Spare")
        services.build_schema(spare)
        SpareSchema.objects.all().delete()
        migrated = services.begin_tenant(slug="from-nothing", name="Nothing")
        services.build_schema(migrated)

        assert columns_of(spare.schema) == columns_of(migrated.schema)
        assert len(columns_of(spare.schema)) > 200


def test_making_a_tenant_again_after_a_crash_carries_on_where_it_stopped(db):
    with control_plane():
        begun = services.begin_tenant(slug="halfway", name="Halfway")
        SchemaMigration.objects.filter(schema_name=begun.schema).delete()

        resumed = services.begin_tenant(slug="halfway", name="Halfway")
        services.build_schema(resumed)
        services.build_schema(resumed)
        ready = services.mark_ready(resumed)

    assert resumed.id == begun.id
    assert (ready.state, services.mark_ready) and ready.state is TenantState.READY


def test_a_tenant_that_is_not_ready_is_found_by_nobody(db):
    with control_plane():
        begun = services.begin_tenant(slug="unready", name="Unready")

    found = selectors.tenant_for_host("unready.localhost")
    assert found is not None and not found.is_served
    with pytest.raises(TenantNotReady), services.in_tenant(begun):
        pass


@pytest.mark.parametrize(
    "slug",
    ["", "a", "Acme", "1st", "-x", "x-", "a--b", "a_b", "a.b", "a b", "operator", "www", "x" * 41, "ä"],
)
def test_a_slug_that_cannot_be_a_host_is_refused(db, slug):
    with control_plane(), pytest.raises(InvalidSlug):
        services.begin_tenant(slug=slug, name="No")


def test_a_slug_belongs_to_one_tenant(acme):
    with control_plane(), pytest.raises(SlugTaken):
        services.begin_tenant(slug="acme", name="Another")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("acme.localhost", True),
        ("ACME.LOCALHOST", True),
        ("acme.localhost.", True),
        ("acme.localhost:8000", True),
        ("www.acme.localhost", False),
        ("acme.localhost\r\nx: y", False),
        ("acme", False),
        ("", False),
        ("globex.localhost@acme.localhost", False),
    ],
)
def test_hosts_are_compared_as_names_and_nothing_odd_is_guessed_at(acme, host, found):
    assert (selectors.tenant_for_host(host) == acme) is found


def test_a_suspended_tenant_keeps_its_data_and_says_why(acme):
    with control_plane():
        suspended = governance.suspend_tenant(acme, reason="Overdue.", actor=OPERATOR)

        assert suspended.state is TenantState.SUSPENDED
        assert suspended.is_served
        assert selectors.suspension_reason(acme.id) == "Overdue."
        assert governance.resume_tenant(suspended, reason="Paid.", actor=OPERATOR).state is TenantState.READY
        with pytest.raises(WrongState):
            services.set_resumed(acme)


def test_an_erased_tenant_leaves_no_schema_and_no_host_but_its_row_for_the_books(db):
    with control_plane():
        tenant = services.begin_tenant(slug="leaving", name="Leaving Ltd")
        services.build_schema(tenant)
        tenant = services.mark_ready(tenant)
        deleting = governance.delete_tenant(
            tenant, reason="Asked to.", grace=timedelta(days=30), actor=OPERATOR
        )

        assert not deleting.is_served
        assert services.erase_due_tenants(timezone.now()) == []
        erased = services.erase_due_tenants(timezone.now() + timedelta(days=31))

        assert [gone.id for gone in erased] == [tenant.id]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (tenant.schema,))
            assert cursor.fetchone() is None
        row = Tenant.objects.get(pk=tenant.id)
        assert (row.state, row.name) == ("deleted", "Deleted tenant")
        assert selectors.tenant_for_host("leaving.localhost") is None


def test_a_schema_at_head_is_not_visited_and_a_failed_one_is_taken_up_again(acme):
    with control_plane():
        SchemaMigration.objects.filter(schema_name=acme.schema).update(state="failed", head="", error="boom")
        visited = []

        failed = migrating.migrate_tenants(visited.append)

        assert failed == []
        assert visited == [f"Migrating {acme.schema}"]
        row = SchemaMigration.objects.get(schema_name=acme.schema)
        assert (row.state, row.error, row.head) == ("done", "", migrating.code_head())
