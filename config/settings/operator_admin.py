"""The operator admin: django-unfold in our colours, with the rooms in the order of an operator's day."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _room(title: str, icon: str, model: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{model}_changelist")}


def _group(title: str, *rooms: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "collapsible": False, "items": list(rooms)}


UNFOLD = {
    "SITE_TITLE": "Lockstep operator",
    "SITE_HEADER": "Lockstep operator",
    "SITE_SUBHEADER": "Control plane",
    "SITE_URL": None,
    "SITE_ICON": lambda request: static("lockstep/favicon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("lockstep/favicon.svg")}
    ],
    # Who changed what is in the operators' audit log, which has also what was not done on a page.
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "STYLES": [lambda request: static("lockstep/css/operator.css")],
    "COLORS": {
        "primary": {
            "50": "#eef7f8",
            "100": "#e3f0f2",
            "200": "#bddde2",
            "300": "#8fc7d0",
            "400": "#4db1c1",
            "500": "#2f8f9f",
            "600": "#0d5c6b",
            "700": "#084854",
            "800": "#0a3d47",
            "900": "#0b333b",
            "950": "#061f25",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {
                "title": "",
                "items": [{"title": "Overview", "icon": "dashboard", "link": reverse_lazy("admin:index")}],
            },
            _group(
                "Tenants",
                _room("Tenants", "apartment", "tenancy_tenant"),
                _room("Domains", "language", "tenancy_domain"),
                _room("Subscriptions", "autorenew", "billing_subscription"),
                _room("Invoices", "receipt_long", "billing_invoice"),
            ),
            _group(
                "What is sold",
                _room("Plans", "sell", "billing_plan"),
                _room("Routes", "alt_route", "ai_usage_route"),
                _room("Policy bounds of all", "policy", "governance_policydefaultbound"),
                _room("Cost rates", "payments", "ai_usage_costrate"),
                _room("Prices", "price_check", "ai_usage_pricerate"),
            ),
            _group(
                "Providers",
                _room("Providers", "dns", "ai_usage_provider"),
                _room("Credentials", "key", "ai_usage_credential"),
            ),
            _group(
                "Running it",
                _room("Work tickets", "work_history", "jobs_workticket"),
                _room("Schemas", "schema", "tenancy_schemamigration"),
                _room("Stripe, received", "move_to_inbox", "billing_stripeinbox"),
                _room("Stripe, to send", "outbox", "billing_stripeoutbox"),
                _room("Operators", "badge", "identity_user"),
                _room("Operators' audit log", "history", "governance_operatorauditentry"),
            ),
        ],
    },
}

# Django's admin has no other place for how it writes dates.
FORMAT_MODULE_PATH = ["config.formats"]
