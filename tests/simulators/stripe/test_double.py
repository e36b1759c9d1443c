"""The double behaves like Stripe where we depend on it, seen through Stripe's own client."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import stripe


@pytest.fixture
def customer(client):
    return client.v1.customers.create(params={"name": "Acme", "metadata": {"lockstep_tenant": "t1"}})


@pytest.fixture
def draft(client, customer):
    return client.v1.invoices.create(
        params={
            "customer": customer.id,
            "currency": "usd",
            "collection_method": "send_invoice",
            "days_until_due": 14,
        }
    )


def add(client, invoice, amount, **more):
    return client.v1.invoice_items.create(
        params={
            "customer": invoice.customer,
            "invoice": invoice.id,
            "amount": amount,
            "currency": "usd",
            **more,
        }
    )


def test_an_invoice_goes_from_draft_to_paid_and_adds_up(client, draft):
    add(
        client,
        draft,
        1000,
        description="one",
        period={"start": 1, "end": 2},
        metadata={"lockstep_line": "l1"},
    )
    add(client, draft, -250, description="two")

    before = client.v1.invoices.retrieve(draft.id)
    opened = client.v1.invoices.finalize_invoice(draft.id)
    paid = client.v1.invoices.pay(draft.id)

    assert (before.status, before.total, before.number) == ("draft", 750, None)
    assert (opened.status, opened.amount_due) == ("open", 750)
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 750, 0)
    assert paid.status_transitions.paid_at is not None
    assert [line.amount for line in client.v1.invoices.line_items.list(draft.id).data] == [1000, -250]


def test_an_invoice_of_nothing_is_paid_when_it_is_finalised(client, draft):
    assert client.v1.invoices.finalize_invoice(draft.id).status == "paid"


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (["finalize_invoice", "void_invoice"], "void"),
        (["finalize_invoice", "mark_uncollectible"], "uncollectible"),
        (["finalize_invoice", "mark_uncollectible", "pay"], "paid"),
    ],
)
def test_the_other_ways_an_invoice_ends(client, draft, steps, status):
    add(client, draft, 100)

    for step in steps:
        found = getattr(client.v1.invoices, step)(draft.id)

    assert found.status == status


@pytest.mark.parametrize("step", ["pay", "void_invoice", "mark_uncollectible"])
def test_a_draft_cannot_be_paid_voided_or_given_up(client, draft, step):
    with pytest.raises(stripe.InvalidRequestError):
        getattr(client.v1.invoices, step)(draft.id)


def test_nothing_is_added_to_what_is_final(client, draft):
    client.v1.invoices.finalize_invoice(draft.id)

    with pytest.raises(stripe.InvalidRequestError):
        add(client, draft, 100)


def test_the_same_key_and_words_happen_once_and_are_answered_the_same(client, double):
    words, options = {"name": "Acme"}, {"idempotency_key": "k1"}

    first = client.v1.customers.create(params=words, options=options)
    again = client.v1.customers.create(params=words, options=options)

    assert again.id == first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.customers.list().data) == 1


def test_the_same_key_with_other_words_is_refused(client):
    client.v1.customers.create(params={"name": "Acme"}, options={"idempotency_key": "k1"})

    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create(params={"name": "Globex"}, options={"idempotency_key": "k1"})

    assert len(client.v1.customers.list().data) == 1


def test_a_refusal_is_remembered_under_its_key_too(client, draft):
    options = {"idempotency_key": "pay"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay(draft.id, options=options)
    client.v1.invoices.finalize_invoice(draft.id)

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay(draft.id, options=options)


def test_a_key_is_forgotten_after_a_day_of_stripes_time(client, double):
    options = {"idempotency_key": "k1"}
    first = client.v1.customers.create(params={"name": "Acme"}, options=options)

    double.advance(86_400)
    again = client.v1.customers.create(params={"name": "Acme"}, options=options)

    assert again.id != first.id


def test_hanging_up_after_the_deed_leaves_it_done_and_its_key_remembered(client, double):
    double.fault("timeout_after_commit", method="POST", path="/v1/customers")
    options = {"idempotency_key": "k1"}
    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create(params={"name": "Acme"}, options=options)

    client.v1.customers.create(params={"name": "Acme"}, options=options)

    assert len(client.v1.customers.list().data) == 1


def test_hanging_up_before_the_deed_leaves_nothing(client, double):
    double.fault("timeout_before_commit", method="POST", path="/v1/customers")

    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create(params={"name": "Acme"})

    assert client.v1.customers.list().data == []


@pytest.mark.parametrize(
    ("status", "error"), [(409, stripe.APIError), (429, stripe.RateLimitError), (500, stripe.APIError)]
)
def test_a_status_on_purpose_does_nothing_and_is_not_remembered(client, double, status, error):
    double.fault("status", status=status, method="POST", path="/v1/customers")
    options = {"idempotency_key": "k1"}
    with pytest.raises(stripe.StripeError) as refused:
        client.v1.customers.create(params={"name": "Acme"}, options=options)

    assert refused.value.http_status == status
    assert client.v1.customers.create(params={"name": "Acme"}, options=options).name == "Acme"
    assert len(client.v1.customers.list().data) == 1


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"nmae": "Acme"}, "nmae"),
        ({"address": {"stret": "x"}}, "address[stret]"),
    ],
)
def test_a_parameter_that_stripes_own_types_do_not_have_is_refused(client, words, name):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.customers.create(params=words)

    assert (refused.value.code, refused.value.param) == ("parameter_unknown", name)


def test_every_answer_has_only_fields_that_stripes_own_types_have(client, draft):
    item = add(client, draft, 100)
    answers = {
        stripe.Customer: client.v1.customers.retrieve(draft.customer),
        stripe.Invoice: client.v1.invoices.finalize_invoice(draft.id),
        stripe.InvoiceItem: item,
        stripe.InvoiceLineItem: client.v1.invoices.line_items.list(draft.id).data[0],
        stripe.Event: client.v1.events.list().data[0],
        stripe.Account: client.v1.accounts.retrieve_current(),
    }

    strange = {
        kind.__name__: sorted(set(answer.to_dict()) - set(kind.__annotations__))
        for kind, answer in answers.items()
    }

    assert [found for found in strange.values() if found] == []


@pytest.mark.parametrize(
    "words",
    [
        {"customer": "cus_none", "currency": "usd"},
        {"collection_method": "send_invoice"},
        {"collection_method": "charge_automatically", "days_until_due": 3},
        {"collection_method": "send_invoice", "due_date": 1},
    ],
)
def test_an_invoice_that_stripe_would_not_take_is_not_taken(client, customer, words):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.create(params={"customer": customer.id} | words)


def test_amounts_are_whole_and_in_the_invoices_currency(client, draft):
    with pytest.raises(stripe.InvalidRequestError):
        add(client, draft, 1.5)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoice_items.create(
            params={"customer": draft.customer, "invoice": draft.id, "amount": 1, "currency": "eur"}
        )


def test_lists_are_paged_newest_first(client):
    made = [client.v1.customers.create(params={"name": str(number)}).id for number in range(5)]

    page = client.v1.customers.list(params={"limit": 2})
    everybody = [one.id for one in client.v1.customers.list(params={"limit": 2}).auto_paging_iter()]

    assert ([one.id for one in page.data], page.has_more) == ([made[4], made[3]], True)
    assert everybody == made[::-1]


def test_customers_are_found_by_metadata(client, customer):
    found = client.v1.customers.search(params={"query": "metadata['lockstep_tenant']:'t1'"}).data

    assert [one.id for one in found] == [customer.id]


def test_only_test_keys_are_let_in(double):
    with pytest.raises(stripe.AuthenticationError):
        stripe.StripeClient(
            "sk_live_1", base_addresses={"api": double.url}, max_network_retries=0
        ).v1.customers.list()


class Receiver:
    """A web server that keeps what it is sent, and answers what it is told."""

    def __init__(self):
        outer, self.got, self.statuses = self, [], []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.statuses.pop(0) if outer.statuses else 200
                outer.got.append((json.loads(body), body, self.headers["Stripe-Signature"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def types(self, wanted):
        deadline = time.monotonic() + 5
        while len(self.got) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        return [event["type"] for event, _, _ in self.got]


@pytest.fixture
def receiver(double):
    made = Receiver()
    double.send_webhooks_to(made.url, "whsec_test")
    yield made
    double.send_webhooks_to("http://127.0.0.1:1/", "none")
    made.server.shutdown()
    made.server.server_close()


def test_webhooks_come_in_order_and_carry_a_signature_that_stripes_own_check_accepts(client, receiver, draft):
    client.v1.invoices.finalize_invoice(draft.id)

    assert receiver.types(4)[:4] == [
        "customer.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
    ]
    for _, body, signature in receiver.got:
        assert stripe.WebhookSignature.verify_header(body.decode(), signature, "whsec_test", tolerance=300)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(body.decode(), signature, "whsec_other", tolerance=300)


def test_a_webhook_that_is_not_answered_well_comes_again(client, receiver):
    receiver.statuses = [500, 503]

    client.v1.customers.create(params={"name": "Acme"})

    assert receiver.types(3) == ["customer.created"] * 3
    assert len({event["id"] for event, _, _ in receiver.got}) == 1


def test_webhooks_can_come_twice_late_stale_or_never(client, double, receiver, customer):
    receiver.types(1)
    double.fault("duplicate", event="invoice.created")
    double.fault("hold", times=2, event="invoice.")
    double.fault("stale", event="customer.updated")
    client.v1.customers.update(customer.id, params={"name": "Other"})
    draft = client.v1.invoices.create(params={"customer": customer.id, "currency": "usd"})
    client.v1.invoices.finalize_invoice(draft.id)
    # customer.created and .updated, and of the invoice that it is paid, in two words.
    before = receiver.types(4)

    double.call("POST", "/_webhooks/release", {})
    after = receiver.types(len(before) + 2)[len(before) :]

    assert "invoice.created" not in before
    assert after == ["invoice.finalized", "invoice.created"]
    [stale] = [one for one in receiver.got if one[0]["type"] == "customer.updated"][:1]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(stale[1].decode(), stale[2], "whsec_test", tolerance=300)
