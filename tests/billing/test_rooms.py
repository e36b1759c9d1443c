"""Invoices and the plan as a member's browser and an API key see them."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from apps.billing import services
from apps.billing.csv_export import lines_as_csv
from apps.billing.models import BillingPeriod, Invoice
from apps.billing.types import LineItem, LineKind
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories import usage
from tests.factories.keys import make_key, new_address
from tests.factories.people import PASSWORD, forget_attempts, make_member
from tests.factories.selling import NOW, OPERATOR

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def books(customer, globex):
    """acme with a closed October and a running November, globex with a draft; then the tenant plane."""
    with in_tenant(customer):
        usage.answered(OCTOBER, [usage.line("input", 1_000_000, "0.165"), usage.line("output", 3, "0.66")])
        usage.answered(NOW, [usage.line("input", 2_000_000, "0.165")])
    services.roll_up_tenant(customer, now=NOW)
    period = BillingPeriod.objects.get(tenant_id=customer.id, starts_at=OCTOBER)
    services.close_period(customer, period.pk, now=NOW)
    services.roll_up_tenant(customer, now=NOW)
    services.subscribe(globex, plan="solo", actor=OPERATOR, now=NOW)
    forget_attempts()
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE lockstep_tenant")
    yield customer
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE lockstep_control")


@pytest.fixture
def api(books):
    with in_tenant(books):
        return Api(make_key(scopes=["invoices:read"]).secret)


def browser(tenant, role="owner"):
    with in_tenant(tenant):
        member = make_member(f"{role}@{tenant.slug}.example", role)
    client = Client(HTTP_HOST=f"{tenant.slug}.localhost", REMOTE_ADDR=new_address())
    assert client.post("/accounts/login/", {"login": member.email, "password": PASSWORD}).status_code == 302
    return client


def october(tenant):
    with in_tenant(tenant):
        return Invoice.objects.get(period__starts_at=OCTOBER)


def test_the_api_lists_the_draft_first_and_money_is_exact_text(api, books):
    answer = api.get("/invoices").json()

    draft, closed = answer["data"]
    assert answer["next_cursor"] is None
    assert (draft["state"], draft["number"], draft["period_start"]) == ("draft", None, "2026-11-01T00:00:00Z")
    assert (draft["subtotal"], draft["total"], draft["total_minor"]) == ("500.325001980000", "500.33", 50033)
    assert (closed["state"], closed["subtotal"]) == ("finalizing", "500.165001980000")
    assert closed["number"].startswith("LS-")


def test_the_api_pages_through_invoices(api, books):
    first = api.get("/invoices?limit=1").json()
    second = api.get(f"/invoices?limit=1&cursor={first['next_cursor']}").json()

    assert first["data"][0]["state"] == "draft"
    assert second["data"][0]["state"] == "finalizing"
    assert second["next_cursor"] is None


def test_the_api_gives_one_invoice_with_lines_that_add_up_to_it(api, books):
    invoice = api.get(f"/invoices/{october(books).pk}").json()

    assert [(line["kind"], line["amount"], line["amount_minor"]) for line in invoice["lines"]] == [
        ("fee", "500.000000000000", 50000),
        ("usage", "0.165000000000", 17),
        ("usage", "0.000001980000", 0),
    ]
    assert sum(line["amount_minor"] for line in invoice["lines"]) == invoice["total_minor"] == 50017
    assert invoice["lines"][1]["quantity"] == 1_000_000


def test_the_lines_come_as_a_table_too(api, books):
    answer = api.get(f"/invoices/{october(books).pk}/lines.csv")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["amount"] for row in rows] == ["500.000000000000", "0.165000000000", "0.000001980000"]


def test_the_plan_is_shown_with_its_limits_and_where_they_are_from(api, books):
    plan = api.get("/plan").json()

    assert (plan["name"], plan["version"], plan["state"], plan["price_per_month"]) == (
        "team",
        1,
        "active",
        "500",
    )
    assert plan["limits"] == {"requests_per_minute": 6000, "keys": 500, "members": 500}
    assert set(plan["origins"].values()) == {"plan"}


def test_another_tenants_invoice_is_not_found_by_api_or_browser(api, books, globex):
    with in_tenant(globex):
        foreign = Invoice.objects.get()

    for path in (f"/invoices/{foreign.pk}", f"/invoices/{foreign.pk}/lines.csv"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "invoice_not_found")
    assert browser(books).get(f"/invoices/{foreign.pk}/").status_code == 404


def test_without_the_scope_there_is_nothing_to_see(books):
    with in_tenant(books):
        poor = Api(make_key(scopes=["usage:read"]).secret)

    for path in ("/invoices", f"/invoices/{october(books).pk}", "/plan"):
        assert poor.get(path).status_code == 403
    assert browser(books, "developer").get("/invoices/").status_code == 403


def test_the_portal_shows_the_plan_the_running_month_and_each_invoice(books):
    page = browser(books).get("/invoices/").content.decode()

    for part in ("team", "November 2026", "October 2026", october(books).number):
        assert part in page


def test_an_invoices_page_has_its_lines_exact_sums_and_seal(books):
    invoice = october(books)

    page = browser(books, "billing").get(f"/invoices/{invoice.pk}/").content.decode()

    for part in (invoice.number, "Plan team", "gpt-4o-mini: input tokens", "Statement seal"):
        assert part in page


def test_the_portals_csv_is_the_apis(books, api):
    path = f"/invoices/{october(books).pk}/lines.csv"

    assert browser(books).get(path).content == api.get(path).content


def test_a_cell_that_a_spreadsheet_would_run_is_only_text():
    line = LineItem(
        1,
        LineKind.USAGE,
        '=HYPERLINK("http://evil")',
        OCTOBER,
        NOW,
        usage.Decimal("-1.5"),
        model="@cmd",
        quantity=-3,
    )

    [row] = csv.DictReader(io.StringIO(lines_as_csv([line], "USD")))

    assert (row["description"], row["model"]) == ('\'=HYPERLINK("http://evil")', "'@cmd")
    assert (row["amount"], row["quantity"]) == ("-1.5", "-3")
