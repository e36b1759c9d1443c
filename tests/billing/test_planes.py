"""What the tenant plane may see of the books, tried with SQL under its own role."""

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from apps.billing import services
from apps.tenancy.services import in_public, in_tenant
from tests.factories.selling import NOW, OPERATOR

OWN_ROWS = [
    "billing_subscription",
    "billing_billingperiod",
    "billing_statement",
    "billing_invoice",
    "billing_creditentry",
]
CATALOGUE = ["billing_plan", "billing_planversion"]
NOTHING = [
    "billing_stripecustomer",
    "billing_stripeinbox",
    "billing_stripeoutbox",
    "billing_invoiceseries",
    "billing_entitlementoverride",
    "djstripe_customer",
    "djstripe_apikey",
]
KEYS = {model._meta.db_table: model._meta.pk.column for model in apps.get_models()}


@pytest.fixture
def books(customer, globex):
    """A row of each tenant in each shared table, then the tenant plane's role."""
    services.subscribe(globex, plan="solo", actor=OPERATOR, now=NOW.replace(month=10, day=1))
    for tenant in (customer, globex):
        services.change_credit(tenant, amount_minor=100, reason="x", actor=OPERATOR, now=NOW)
        services.close_due_periods(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE lockstep_tenant")
    yield customer
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE lockstep_control")


def run(sql, *parameters):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def test_a_tenant_sees_its_own_rows_and_only_those(books, globex):
    for table in OWN_ROWS:
        with in_tenant(books):
            own = run(f"SELECT DISTINCT tenant_id FROM public.{table}")
        with in_tenant(globex):
            other = run(f"SELECT DISTINCT tenant_id FROM public.{table}")

        assert (table, own, other) == (table, [(books.id,)], [(globex.id,)])


def test_without_a_tenant_in_force_there_are_no_rows_at_all(books):
    with in_public():
        assert [row for table in OWN_ROWS for row in run(f"SELECT * FROM public.{table}")] == []


def test_the_catalogue_of_plans_is_for_everybody_to_read(books):
    with in_tenant(books):
        for table in CATALOGUE:
            assert len(run(f"SELECT * FROM public.{table}")) >= 2


def test_what_is_said_to_stripe_and_the_operators_notes_are_not_to_be_read(books):
    with in_tenant(books):
        for table in NOTHING:
            with pytest.raises(DatabaseError, match="permission denied"):
                run(f"SELECT * FROM public.{table}")


@pytest.mark.parametrize(
    "verb", ["UPDATE public.{} SET {}", "DELETE FROM public.{}", "INSERT INTO public.{} DEFAULT VALUES"]
)
def test_no_shared_row_can_be_written_from_the_tenant_plane(books, verb):
    with in_tenant(books):
        for table in [*OWN_ROWS, *CATALOGUE, *NOTHING]:
            column = KEYS[table]
            with pytest.raises(DatabaseError, match="permission denied"):
                run(verb.format(table, f"{column} = {column}"))


def test_a_tenants_own_schema_does_not_let_it_write_its_invoice_or_entitlements(books):
    with in_tenant(books):
        for table in ("billing_invoiceline", "billing_lateusage", "governance_entitlements"):
            with pytest.raises(DatabaseError, match="permission denied"):
                run(f"DELETE FROM {table}")
