"""Customers, products and prices."""

import re
from typing import Any

from deploy.local.stripe_double import reading
from deploy.local.stripe_double.errors import invalid
from deploy.local.stripe_double.store import Store, Thing

_SEARCH = re.compile(r"metadata\['([^']+)'\]:'([^']*)'\Z")


class Customers:
    """What can be done with customers."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def create(self, asked: Thing, key: str | None) -> Thing:
        """POST /v1/customers"""
        customer = self.store.add(
            "customer",
            {
                "id": self.store.new_id("cus"),
                "object": "customer",
                "address": None,
                "balance": 0,
                "created": self.store.clock.now(),
                "currency": None,
                "default_source": None,
                "delinquent": False,
                "description": reading.text(asked, "description"),
                "email": reading.text(asked, "email"),
                "invoice_prefix": self.store.new_id("x")[2:10].upper(),
                "invoice_settings": {
                    "custom_fields": None,
                    "default_payment_method": None,
                    "footer": None,
                    "rendering_options": None,
                },
                "livemode": False,
                "metadata": reading.metadata(asked),
                "name": reading.text(asked, "name"),
                "phone": reading.text(asked, "phone"),
                "preferred_locales": [],
                "shipping": None,
                "tax_exempt": "none",
                "test_clock": None,
            },
        )
        self.store.event("customer.created", customer, key=key)
        return customer

    def update(self, id: str, asked: Thing, key: str | None) -> Thing:
        """POST /v1/customers/{id}"""
        customer = self.store.get("customer", id)
        before = dict(customer)
        for name in ("name", "email", "description", "phone"):
            if name in asked:
                customer[name] = reading.text(asked, name)
        customer["metadata"] = reading.metadata(asked, customer["metadata"])
        self.store.event("customer.updated", customer, key=key, before=before)
        return customer

    def delete(self, id: str, key: str | None) -> Thing:
        """DELETE /v1/customers/{id}"""
        customer = self.store.get("customer", id)
        self.store.remove("customer", id)
        self.store.event("customer.deleted", customer, key=key)
        return {"id": id, "object": "customer", "deleted": True}

    def page(self, asked: Thing) -> Thing:
        """GET /v1/customers"""
        found = self.store.all("customer")
        if email := asked.get("email"):
            found = [one for one in found if one["email"] == email]
        return self.store.page(found, "/v1/customers", asked)

    def search(self, asked: Thing) -> Thing:
        """GET /v1/customers/search, for one clause on metadata."""
        clause = _SEARCH.match(reading.required(asked, "query"))
        if clause is None:
            raise invalid("This double searches by metadata['name']:'value' only", param="query")
        name, value = clause.groups()
        found = [one for one in self.store.all("customer") if one["metadata"].get(name) == value]
        limit = int(asked.get("limit", 10))
        return {
            "object": "search_result",
            "url": "/v1/customers/search",
            "has_more": len(found) > limit,
            "next_page": None,
            "data": found[:limit],
        }


def account(now: int) -> dict[str, Any]:
    """GET /v1/account: whose double this is."""
    return {
        "id": "acct_1LockstepDouble",
        "object": "account",
        "business_profile": {"name": "Lockstep double", "url": None},
        "business_type": "company",
        "capabilities": {},
        "charges_enabled": True,
        "country": "US",
        "created": now,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "double@lockstep.localhost",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None},
            "dashboard": {"display_name": "Lockstep double"},
        },
        "type": "standard",
    }
