"""Exactly once to Stripe, and back: with every fault that we can make at every step."""

import json
import time
from datetime import UTC, datetime, timedelta

import djstripe.models
import pytest
from django.test import Client
from django.utils import timezone

from apps.billing import selectors, services, stripe
from apps.billing.models import BillingPeriod, Invoice, StripeCustomer, StripeInbox, StripeOutbox
from apps.billing.types import InboxState, InvoiceState, OutboxState, SubscriptionState
from apps.governance import selectors as governance
from apps.governance.types import Standing
from apps.tenancy.services import in_tenant
from deploy.local.stripe_double.webhooks import signature
from tests.factories import usage
from tests.factories.selling import OPERATOR

STEPS = ["/v1/customers", "/v1/invoices", "/v1/invoiceitems", "/finalize"]


@pytest.fixture
def now():
    """Stripe compares due dates with its own clock, so these tests run today."""
    return timezone.now()


@pytest.fixture
def owed(selling, acme, double, now):
    """A numbered invoice of acme for the month before this one, with a fee and two usage lines."""
    month = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)).replace(day=1)
    services.subscribe(acme, plan="team", actor=OPERATOR, now=month)
    with in_tenant(acme):
        usage.answered(
            month, [usage.line("input", 10_000_000, "0.165"), usage.line("output", 30_000, "0.66")]
        )
    period = BillingPeriod.objects.get(tenant_id=acme.id, starts_at=month)
    services.close_period(acme, period.pk, now=now)
    return Invoice.objects.get(period=period)


def push(tenant, invoice, now, *, tries=1):
    """What the ticket does, with its repetitions; how many failed."""
    failed = 0
    for _ in range(tries):
        try:
            services.push_invoice(tenant, invoice.pk, now=now)
        except stripe.StripeAway:
            failed += 1
    invoice.refresh_from_db()
    return failed


def at_stripe(double):
    return double.call("GET", "/v1/invoices?limit=100")["data"]


def items_at_stripe(double):
    return double.call("GET", "/v1/invoiceitems?limit=100")["data"]


def test_a_numbered_invoice_arrives_to_the_cent_and_is_open(acme, owed, double, now):
    push(acme, owed, now)

    [found] = at_stripe(double)
    assert (found["status"], found["total"], found["currency"]) == ("open", owed.total_minor, "usd")
    assert owed.total_minor == 50_167
    assert sorted(item["amount"] for item in items_at_stripe(double)) == [2, 165, 50_000]
    assert found["metadata"] == {"lockstep_tenant": str(acme.id), "lockstep_invoice": str(owed.pk)}
    assert owed.state == InvoiceState.OPEN


def test_pushing_again_changes_nothing(acme, owed, double, now):
    push(acme, owed, now)
    asked = len(double.requests())

    push(acme, owed, now, tries=3)

    assert len(double.requests()) == asked
    assert len(at_stripe(double)) == 1


@pytest.mark.parametrize("effect", ["timeout_after_commit", "timeout_before_commit", 409, 429, 500])
@pytest.mark.parametrize("step", STEPS)
def test_whatever_fails_at_whatever_step_there_is_one_invoice_and_it_is_right(
    acme, owed, double, now, step, effect
):
    # The client repeats once by itself, so that three faults reach the ticket.
    path = step if step.startswith("/v1/") else "/v1/invoices/"
    if isinstance(effect, int):
        double.fault("status", status=effect, times=3, method="POST", path=path)
    else:
        double.fault(effect, times=3, method="POST", path=path)

    failed = push(acme, owed, now, tries=5)

    assert failed >= 1
    assert owed.state == InvoiceState.OPEN
    [found] = at_stripe(double)
    assert (found["status"], found["total"]) == ("open", owed.total_minor)
    assert len(items_at_stripe(double)) == 3
    assert len(double.call("GET", "/v1/customers")["data"]) == 1
    assert {row.state for row in StripeOutbox.objects.all()} == {OutboxState.DONE}


def test_an_answer_lost_longer_ago_than_stripe_keeps_keys_is_searched_for_and_adopted(
    acme, owed, double, now
):
    for path in ("/v1/customers", "/v1/invoices", "/v1/invoiceitems"):
        double.fault("timeout_after_commit", times=2, method="POST", path=path)
        push(acme, owed, now)
        double.advance(25 * 3600)
        now += timedelta(hours=25)

    push(acme, owed, now, tries=2)

    assert owed.state == InvoiceState.OPEN
    assert len(at_stripe(double)) == 1
    assert len(items_at_stripe(double)) == 3
    assert len(double.call("GET", "/v1/customers")["data"]) == 1


def test_a_total_that_differs_there_is_not_finalised(acme, owed, double, now):
    double.fault("status", status=500, times=2, method="POST", path="/v1/invoices/")
    push(acme, owed, now)
    [draft] = at_stripe(double)
    assert draft["status"] == "draft"
    client = stripe._client()
    client.v1.invoice_items.create(
        params={"customer": draft["customer"], "invoice": draft["id"], "amount": 1, "currency": "usd"}
    )

    with pytest.raises(stripe.StripeRefused):
        push(acme, owed, now)

    assert at_stripe(double)[0]["status"] == "draft"
    assert owed.state == InvoiceState.FINALIZING


def test_a_refusal_is_parked_for_a_person(acme, double, now, selling):
    services.subscribe(acme, plan="team", actor=OPERATOR, now=now)
    double.fault("status", status=400, times=1, method="POST", path="/v1/customers")

    with in_tenant(acme), pytest.raises(stripe.StripeRefused):
        services.ensure_customer(acme, now=now)

    row = StripeOutbox.objects.get(step="customer.create")
    assert (row.state, row.attempts) == (OutboxState.PARKED, 1)
    assert "on purpose" in row.error


def test_without_stripe_an_invoice_is_open_for_other_ways_of_paying(acme, owed, settings, now):
    settings.STRIPE_SECRET_KEY = None

    push(acme, owed, now)
    services.mark_paid(acme, owed.pk, reason="bank transfer", actor=OPERATOR, now=now)

    owed.refresh_from_db()
    assert (owed.state, owed.paid_at) == (InvoiceState.PAID, now)
    assert not StripeCustomer.objects.exists()


def test_a_tenant_has_one_customer_however_often_it_is_asked_for(control, acme, double, now):
    with in_tenant(acme):
        first = services.ensure_customer(acme, now=now)
        again = services.ensure_customer(acme, now=now)

    assert first == again
    [customer] = double.call("GET", "/v1/customers")["data"]
    assert customer["metadata"] == {"lockstep_tenant": str(acme.id)}


@pytest.fixture
def operator_host(settings):
    settings.LOCKSTEP_PLANE = "control"
    return Client(HTTP_HOST="operator.localhost")


def post(host, event, *, secret="whsec_new", at=None, body=None):
    body = body or json.dumps(event).encode()
    return host.post(
        "/stripe/webhook",
        data=body,
        content_type="application/json",
        headers={"Stripe-Signature": signature(secret, body, at or int(time.time()))},
    )


def deliver(host, double, *types):
    """Send the double's events of these types, in this order, as webhooks, and apply them."""
    for kind in types:
        event = [one for one in double.events() if one["type"] == kind][-1]
        assert post(host, event).status_code == 200
        services.apply_stripe_event(event["id"], now=timezone.now())


def standing(tenant):
    with in_tenant(tenant):
        return governance.entitlements().standing


def test_a_payment_at_stripe_is_ours_after_its_webhook(acme, owed, double, now, operator_host):
    push(acme, owed, now)
    double.pay(at_stripe(double)[0]["id"])

    deliver(operator_host, double, "invoice.paid")

    owed.refresh_from_db()
    assert owed.state == InvoiceState.PAID
    assert owed.paid_at is not None
    assert StripeInbox.objects.get(type="invoice.paid").state == InboxState.APPLIED


def test_dj_stripes_mirror_follows(acme, owed, double, now, operator_host):
    push(acme, owed, now)
    double.pay(at_stripe(double)[0]["id"])

    deliver(operator_host, double, "customer.created", "invoice.created", "invoice.paid")

    [mirrored] = djstripe.models.Invoice.objects.all()
    assert (mirrored.stripe_data["status"], mirrored.stripe_data["total"]) == ("paid", owed.total_minor)
    assert mirrored.customer.id == StripeCustomer.objects.get(tenant_id=acme.id).customer_id
    assert StripeInbox.objects.get(type="invoice.paid").note == ""


def test_a_mirror_that_stumbles_stops_nothing_of_ours(acme, owed, double, now, operator_host):
    push(acme, owed, now)
    double.pay(at_stripe(double)[0]["id"])
    double.fault("status", status=500, times=9, method="GET", path="/v1/account")

    deliver(operator_host, double, "invoice.paid")

    owed.refresh_from_db()
    assert owed.state == InvoiceState.PAID
    row = StripeInbox.objects.get(type="invoice.paid")
    assert (row.state, row.note) == (InboxState.APPLIED, "not mirrored: APIError")


def test_webhooks_in_the_wrong_order_and_twice_end_where_stripe_is(acme, owed, double, now, operator_host):
    push(acme, owed, now)
    double.pay(at_stripe(double)[0]["id"], declined=True)
    double.pay(at_stripe(double)[0]["id"])

    deliver(
        operator_host, double, "invoice.paid", "invoice.payment_failed", "invoice.finalized", "invoice.paid"
    )

    owed.refresh_from_db()
    assert owed.state == InvoiceState.PAID
    assert subscription_state(acme) is SubscriptionState.ACTIVE


def subscription_state(tenant):
    return selectors.subscription_of(tenant_id=tenant.id).state


def test_a_payment_that_fails_and_one_given_up_reach_what_the_next_request_may_do(
    acme, owed, double, now, operator_host
):
    push(acme, owed, now)
    invoice = at_stripe(double)[0]["id"]

    double.pay(invoice, declined=True)
    deliver(operator_host, double, "invoice.payment_failed")
    after_failure = subscription_state(acme), standing(acme)
    double.call("POST", f"/v1/invoices/{invoice}/mark_uncollectible")
    deliver(operator_host, double, "invoice.marked_uncollectible")
    given_up = subscription_state(acme), standing(acme)
    double.pay(invoice)
    deliver(operator_host, double, "invoice.paid")

    assert after_failure == (SubscriptionState.PAST_DUE, Standing.ACTIVE)
    assert given_up == (SubscriptionState.UNPAID, Standing.UNPAID)
    assert (subscription_state(acme), standing(acme)) == (SubscriptionState.ACTIVE, Standing.ACTIVE)


def test_the_same_event_is_kept_once(double, control, operator_host):
    event = an_event()

    first, second = post(operator_host, event), post(operator_host, event)

    assert (first.json(), second.json()) == (
        {"received": True, "new": True},
        {"received": True, "new": False},
    )
    assert StripeInbox.objects.filter(event_id=event["id"]).count() == 1


def test_both_secrets_are_good_while_one_is_replaced(double, control, operator_host):
    assert post(operator_host, an_event(), secret="whsec_old").status_code == 200


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "whsec_wrong"},
        {"at": int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())},
        {"body": b"not json"},
        {"body": b"[]"},
        {"body": b'{"id": "evt_1"}'},
        {"body": b"\xff\xfe"},
    ],
)
def test_what_stripe_did_not_sign_is_refused_and_not_kept(double, control, operator_host, how):
    answer = post(operator_host, an_event(), **how)

    assert answer.status_code == 400
    assert not StripeInbox.objects.exists()


def test_without_a_signature_or_by_another_method_nothing_is_taken(double, control, operator_host):
    assert (
        operator_host.post("/stripe/webhook", data=b"{}", content_type="application/json").status_code == 400
    )
    assert operator_host.get("/stripe/webhook").status_code == 405


def test_the_address_is_not_there_on_a_tenants_host(double, acme):
    assert Client(HTTP_HOST="acme.localhost").post("/stripe/webhook").status_code == 404


def test_an_event_about_nothing_of_ours_is_kept_and_ignored(double, control, operator_host):
    event = an_event(type="invoice.paid", object={"id": "in_foreign", "object": "invoice"})
    post(operator_host, event)

    services.apply_stripe_event(event["id"], now=timezone.now())

    row = StripeInbox.objects.get(event_id=event["id"])
    assert row.state == InboxState.IGNORED
    assert row.note.startswith("about nothing of ours")


def test_an_invoice_whose_customer_is_not_bound_to_its_tenant_moves_nothing(
    acme, owed, globex, double, now, operator_host
):
    push(acme, owed, now)
    double.pay(at_stripe(double)[0]["id"])
    StripeCustomer.objects.filter(tenant_id=acme.id).update(tenant_id=globex.id)

    deliver(operator_host, double, "invoice.paid")

    owed.refresh_from_db()
    assert owed.state == InvoiceState.OPEN
    assert StripeInbox.objects.get(type="invoice.paid").state == InboxState.IGNORED


def an_event(**changes):
    return {
        "id": "evt_1",
        "object": "event",
        "type": changes.get("type", "customer.created"),
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": changes.get("object", {"id": "cus_1", "object": "customer"})},
    }
