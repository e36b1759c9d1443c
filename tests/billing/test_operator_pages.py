"""What operators do with plans and tenants by hand."""

from decimal import Decimal

import pytest

from apps.ai_usage.models import CostRate, PriceRate, Provider
from apps.billing import selectors, services
from apps.billing.models import BillingPeriod, Invoice, Plan
from apps.billing.types import InvoiceState
from apps.governance import selectors as governance
from apps.tenancy.services import in_tenant
from tests.factories.selling import NOW, OPERATOR
from tests.operator.conftest import desk, form_of, operator, operator_plane  # noqa: F401  (fixtures)

TERMS = {
    "price_per_month": "25.00",
    "currency": "USD",
    "markup_percent": "30",
    "models": "north-small",
    "features": "sso\n-batches",
    "limits": "requests_per_minute: 7\nspend_per_month: 12.50",
}


def entitled(tenant):
    with in_tenant(tenant):
        return governance.entitlements()


@pytest.fixture
def plan(selling, operator_plane):  # noqa: F811
    return Plan.objects.get(name="solo")


def test_a_version_published_by_hand_is_what_the_next_request_is_held_to(desk, plan, acme):  # noqa: F811
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)

    answer = desk.post(f"/billing/plan/{plan.pk}/do/publish/", TERMS)

    assert answer.status_code == 302
    newest = selectors.newest_plan("solo")
    assert (newest.number, newest.terms.markup_percent) == (2, Decimal(30))
    assert newest.terms.features == {"sso": True, "batches": False}
    assert entitled(acme).limits == {"requests_per_minute": 7, "spend_per_month": "12.50"}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("limits", "speed: 7", "speed is not a limit"),
        ("limits", "keys: many", "must be a whole number"),
        ("models", "north-large", "There is no route north-large."),
        ("price_per_month", "1.005", "USD has 2 decimals."),
        ("currency", "dollars", "valid value"),
    ],
)
def test_terms_that_make_no_sense_are_shown_again(desk, plan, field, value, said):  # noqa: F811
    answer = desk.post(f"/billing/plan/{plan.pk}/do/publish/", TERMS | {field: value})

    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert selectors.newest_plan("solo").number == 1


def test_a_plan_made_by_hand_can_be_sold(desk, plan, acme):  # noqa: F811
    answer = desk.post("/billing/plan/add/", TERMS | {"name": "handmade"})

    assert answer.status_code == 302
    assert selectors.newest_plan("handmade").terms.price_per_month == Decimal(25)


def test_a_tenants_plan_credit_and_exceptions_change_from_its_page(desk, plan, acme):  # noqa: F811
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW)
    page = f"/tenancy/tenant/{acme.id}/do"

    answers = [
        desk.post(f"{page}/plan/", {"plan": "team"}),
        desk.post(f"{page}/credit/", {"amount_minor": "500", "reason": "sorry"}),
        desk.post(f"{page}/exception/", {"name": "limits.keys", "value": "9", "reason": "trial"}),
    ]

    assert [answer.status_code for answer in answers] == [302, 302, 302]
    assert (entitled(acme).plan, entitled(acme).limits["keys"]) == ("team", 9)
    assert selectors.credit_balance(tenant_id=acme.id) == 500
    with in_tenant(acme):
        actions = {entry.action: entry.actor_kind for entry in governance.audit_log()}
    for action in ("subscription.changed", "credit.changed", "entitlement.overridden"):
        assert actions[action] == "operator"


def test_a_rate_added_by_hand_is_sold_on_every_plan(desk, plan):  # noqa: F811
    provider = Provider.objects.get(name="north")

    answer = desk.post(
        "/ai_usage/costrate/add/",
        {
            "provider": str(provider.pk), "model": "north-large-1", "quantity_class": "input",
            "service_tier": "default", "context_min": "0", "mode": "realtime", "region": "",
            "cost_per_million": "1", "currency": "USD", "source": "a letter",
        },
    )  # fmt: skip

    assert answer.status_code == 302, answer.context["errors"]
    row = CostRate.objects.get(model="north-large-1")
    assert PriceRate.objects.get(
        cost_rate=row, price_list=selectors.newest_plan("solo").price_list
    ).price_per_million == Decimal("1.2")


def test_an_invoice_is_read_with_its_lines_and_can_be_marked_as_paid(desk, plan, acme):  # noqa: F811
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW.replace(month=10, day=1, hour=0))
    period = BillingPeriod.objects.filter(tenant_id=acme.id).earliest("starts_at")
    services.close_period(acme, period.pk, now=NOW)
    invoice = Invoice.objects.get(period=period)
    services.push_invoice(acme, invoice.pk, now=NOW)

    lines = desk.get(f"/billing/invoice/{invoice.pk}/show/lines/").content.decode()
    paid = desk.post(f"/billing/invoice/{invoice.pk}/do/mark-paid/", {"reason": "bank transfer"})

    assert "Plan solo" in lines
    assert paid.status_code == 302
    invoice.refresh_from_db()
    assert invoice.state == InvoiceState.PAID


@pytest.mark.parametrize(
    "page",
    ["plan", "planversion", "subscription", "entitlementoverride", "billingperiod", "statement", "invoice",
     "creditentry", "stripeinbox", "stripeoutbox"],
)  # fmt: skip
def test_each_page_opens(desk, plan, acme, page):  # noqa: F811
    services.subscribe(acme, plan="solo", actor=OPERATOR, now=NOW.replace(month=10, day=1, hour=0))
    services.change_credit(acme, amount_minor=1, reason="x", actor=OPERATOR, now=NOW)
    services.close_due_periods(now=NOW)

    assert desk.get(f"/billing/{page}/").status_code == 200
