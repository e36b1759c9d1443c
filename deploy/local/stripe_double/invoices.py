"""Invoices and their items: draft → open → paid, void or uncollectible, with Stripe's own rules and words."""

from typing import Any

from deploy.local.stripe_double import reading
from deploy.local.stripe_double.errors import Refusal, invalid
from deploy.local.stripe_double.store import Store, Thing

_MOST_ITEMS = 250
_DAY = 86_400


class Invoices:
    """What can be done with invoices and invoice items."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self, asked: Thing, key: str | None) -> Thing:
        """POST /v1/invoices"""
        customer = self.store.get("customer", reading.required(asked, "customer"))
        method = asked.get("collection_method", "charge_automatically")
        now = self.store.clock.now()
        due = reading.whole(asked, "due_date")
        days = reading.whole(asked, "days_until_due")
        if method not in ("charge_automatically", "send_invoice"):
            raise invalid("Invalid collection_method", param="collection_method")
        if method == "charge_automatically" and (due is not None or days is not None):
            raise invalid("You can only set due dates if collection_method is send_invoice", param="due_date")
        if method == "send_invoice" and (due is None) == (days is None):
            raise invalid("send_invoice needs either due_date or days_until_due", param="days_until_due")
        if due is not None and due <= now:
            raise invalid("due_date must be in the future", param="due_date")
        invoice = self.store.add("invoice", _blank(self.store, customer, asked))
        invoice["collection_method"] = method
        invoice["due_date"] = due if days is None else now + days * _DAY
        if asked.get("pending_invoice_items_behavior", "exclude") == "include":
            for item in self.store.all("invoiceitem"):
                if item["invoice"] is None and item["customer"] == customer["id"]:
                    item["invoice"] = invoice["id"]
        self._count(invoice)
        self.store.event("invoice.created", invoice, key=key)
        return invoice

    def update(self, id: str, asked: Thing, key: str | None) -> Thing:
        """POST /v1/invoices/{id}"""
        invoice = self.store.get("invoice", id)
        before = dict(invoice)
        for name in ("description", "footer"):
            if name in asked:
                invoice[name] = reading.text(asked, name)
        if "auto_advance" in asked:
            invoice["auto_advance"] = reading.yes(asked, "auto_advance", False)
        invoice["metadata"] = reading.metadata(asked, invoice["metadata"])
        self.store.event("invoice.updated", invoice, key=key, before=before)
        return invoice

    def delete(self, id: str, key: str | None) -> Thing:
        """DELETE /v1/invoices/{id}: drafts only."""
        invoice = self._in(id, "draft", "delete")
        for item in self._items(id):
            self.store.remove("invoiceitem", item["id"])
        self.store.remove("invoice", id)
        self.store.event("invoice.deleted", invoice, key=key)
        return {"id": id, "object": "invoice", "deleted": True}

    def finalize(self, id: str, asked: Thing, key: str | None) -> Thing:
        """POST /v1/invoices/{id}/finalize"""
        invoice = self._in(id, "draft", "finalize")
        invoice["auto_advance"] = reading.yes(asked, "auto_advance", invoice["auto_advance"])
        invoice["number"] = f"DOUBLE-{self.store.next_number():04d}"
        self._move(invoice, "open", "finalized_at")
        invoice["hosted_invoice_url"] = f"https://invoice.stripe.localhost/{id}"
        self.store.event("invoice.finalized", invoice, key=key)
        if invoice["amount_due"] == 0:
            self._paid(invoice, key)
        return invoice

    def pay(self, id: str, asked: Thing, key: str | None, *, decline: bool) -> Thing:
        """POST /v1/invoices/{id}/pay: by the customer's means, or out of band."""
        invoice = self._in(id, ("open", "uncollectible"), "pay")
        if not reading.yes(asked, "paid_out_of_band", False):
            invoice["attempted"] = True
            invoice["attempt_count"] += 1
            if decline:
                self.store.event("invoice.payment_failed", invoice, key=key)
                raise Refusal(402, "card_error", "Your card was declined.", code="card_declined")
        self._paid(invoice, key)
        return invoice

    def void(self, id: str, key: str | None) -> Thing:
        """POST /v1/invoices/{id}/void"""
        invoice = self._in(id, ("open", "uncollectible"), "void")
        self._move(invoice, "void", "voided_at")
        self.store.event("invoice.voided", invoice, key=key)
        return invoice

    def mark_uncollectible(self, id: str, key: str | None) -> Thing:
        """POST /v1/invoices/{id}/mark_uncollectible"""
        invoice = self._in(id, "open", "mark as uncollectible")
        self._move(invoice, "uncollectible", "marked_uncollectible_at")
        self.store.event("invoice.marked_uncollectible", invoice, key=key)
        return invoice

    def send(self, id: str, key: str | None) -> Thing:
        """POST /v1/invoices/{id}/send"""
        invoice = self.store.get("invoice", id)
        if invoice["status"] == "draft":
            self.finalize(id, {}, key)
        self.store.event("invoice.sent", invoice, key=key)
        return invoice

    def page(self, asked: Thing) -> Thing:
        """GET /v1/invoices"""
        found = self.store.all("invoice")
        for name in ("customer", "status", "collection_method"):
            if value := asked.get(name):
                found = [one for one in found if one[name] == value]
        return self.store.page(found, "/v1/invoices", asked)

    def lines(self, id: str, asked: Thing) -> Thing:
        """GET /v1/invoices/{id}/lines"""
        self.store.get("invoice", id)
        return self.store.page([_line(item) for item in self._items(id)], f"/v1/invoices/{id}/lines", asked)

    def create_item(self, asked: Thing, key: str | None) -> Thing:
        """POST /v1/invoiceitems"""
        customer = self.store.get("customer", reading.required(asked, "customer"))
        invoice = self._in(asked["invoice"], "draft", "add items to") if asked.get("invoice") else None
        amount = reading.whole(asked, "amount")
        if amount is None:
            raise invalid("This double takes items by amount", code="parameter_missing", param="amount")
        currency = (asked.get("currency") or (invoice or {}).get("currency") or "usd").lower()
        if invoice is not None:
            if invoice["customer"] != customer["id"]:
                raise invalid("The invoice belongs to another customer", param="invoice")
            if invoice["currency"] != currency:
                raise invalid(f"The currency must be {invoice['currency']}", param="currency")
            if len(self._items(invoice["id"])) >= _MOST_ITEMS:
                raise invalid(f"An invoice has at most {_MOST_ITEMS} items", param="invoice")
        now = self.store.clock.now()
        period = asked.get("period") or {}
        item = self.store.add(
            "invoiceitem",
            {
                "id": self.store.new_id("ii"),
                "object": "invoiceitem",
                "amount": amount,
                "currency": currency,
                "customer": customer["id"],
                "date": now,
                "description": reading.text(asked, "description"),
                "discountable": False,
                "discounts": [],
                "invoice": invoice["id"] if invoice else None,
                "livemode": False,
                "metadata": reading.metadata(asked),
                "parent": None,
                "period": {
                    "start": reading.whole(period, "start", now),
                    "end": reading.whole(period, "end", now),
                },
                "pricing": None,
                "proration": False,
                "quantity": 1,
                "tax_rates": [],
                "test_clock": None,
            },
        )
        self.store.event("invoiceitem.created", item, key=key)
        if invoice is not None:
            before = dict(invoice)
            self._count(invoice)
            self.store.event("invoice.updated", invoice, key=key, before=before)
        return item

    def delete_item(self, id: str, key: str | None) -> Thing:
        """DELETE /v1/invoiceitems/{id}"""
        item = self.store.get("invoiceitem", id)
        invoice = self._in(item["invoice"], "draft", "remove items from") if item["invoice"] else None
        self.store.remove("invoiceitem", id)
        if invoice is not None:
            self._count(invoice)
        self.store.event("invoiceitem.deleted", item, key=key)
        return {"id": id, "object": "invoiceitem", "deleted": True}

    def list_items(self, asked: Thing) -> Thing:
        """GET /v1/invoiceitems"""
        found = self.store.all("invoiceitem")
        for name in ("customer", "invoice"):
            if value := asked.get(name):
                found = [one for one in found if one[name] == value]
        if asked.get("pending") == "true":
            found = [one for one in found if one["invoice"] is None]
        return self.store.page(found, "/v1/invoiceitems", asked)

    def _in(self, id: str, states: str | tuple[str, ...], doing: str) -> Thing:
        invoice = self.store.get("invoice", id)
        wanted = (states,) if isinstance(states, str) else states
        if invoice["status"] not in wanted:
            message = (
                f"You can only {doing} an invoice that is {' or '.join(wanted)}; this one is "
                f"{invoice['status']}."
            )
            raise invalid(message, code="invoice_not_editable" if wanted == ("draft",) else "")
        return invoice

    def _items(self, id: str) -> list[Thing]:
        return [item for item in reversed(self.store.all("invoiceitem")) if item["invoice"] == id]

    def _count(self, invoice: Thing) -> None:
        items = self._items(invoice["id"])
        total = sum(item["amount"] for item in items)
        owed = max(total, 0)
        invoice |= {
            "subtotal": total,
            "subtotal_excluding_tax": total,
            "total": total,
            "total_excluding_tax": total,
            "amount_due": owed,
            "amount_remaining": owed,
            "lines": self.store.page(
                [_line(item) for item in items], f"/v1/invoices/{invoice['id']}/lines", {}
            ),
        }

    def _move(self, invoice: Thing, status: str, at: str) -> None:
        invoice["status"] = status
        invoice["status_transitions"] = invoice["status_transitions"] | {at: self.store.clock.now()}

    def _paid(self, invoice: Thing, key: str | None) -> None:
        invoice["amount_paid"], invoice["amount_remaining"] = invoice["amount_due"], 0
        invoice["attempted"] = True
        self._move(invoice, "paid", "paid_at")
        self.store.event("invoice.paid", invoice, key=key)
        self.store.event("invoice.payment_succeeded", invoice, key=key)


def _blank(store: Store, customer: Thing, asked: Thing) -> dict[str, Any]:
    now = store.clock.now()
    return {
        "id": store.new_id("in"),
        "object": "invoice",
        "account_country": "US",
        "account_name": "Lockstep double",
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": reading.yes(asked, "auto_advance", False),
        "billing_reason": "manual",
        "created": now,
        "currency": (asked.get("currency") or customer["currency"] or "usd").lower(),
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "default_tax_rates": [],
        "description": reading.text(asked, "description"),
        "discounts": [],
        "ending_balance": None,
        "footer": reading.text(asked, "footer"),
        "hosted_invoice_url": None,
        "livemode": False,
        "metadata": reading.metadata(asked),
        "number": None,
        "parent": None,
        "period_end": now,
        "period_start": now,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {
            "finalized_at": None,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "test_clock": None,
    }


def _line(item: Thing) -> Thing:
    return {
        "id": f"il_{item['id'].removeprefix('ii_')}",
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discountable": False,
        "discounts": [],
        "invoice": item["invoice"],
        "livemode": False,
        "metadata": item["metadata"],
        "parent": {
            "type": "invoice_item_details",
            "invoice_item_details": {"invoice_item": item["id"], "proration": False},
        },
        "period": item["period"],
        "pricing": None,
        "quantity": 1,
    }
