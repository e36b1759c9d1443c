"""Tenants as provisioning makes them."""

from typing import Any
from uuid import UUID

from apps.governance import services as governance
from apps.governance.types import Actor, Entitlements, Standing
from apps.tenancy import services as tenancy
from apps.tenancy.types import TenantRef

PRICE_LIST = UUID("01890000-0000-7000-8000-000000000001")


def make_first_tenants() -> None:
    """acme and globex, as the fixtures of tests/conftest.py promise."""
    from tests.factories.catalogue import make_catalogue

    # Tests that call models point the providers at their own simulator.
    make_catalogue("http://127.0.0.1:1")
    for slug in ("acme", "globex"):
        make_tenant(slug)


def make_tenant(slug: str, **limits: str | int) -> TenantRef:
    """A ready tenant that may use every model within these limits. Control plane."""
    tenant = tenancy.begin_tenant(slug=slug, name=slug.capitalize())
    tenancy.build_schema(tenant)
    with tenancy.in_provisioning(tenant):
        entitle(**({"limits": limits} if limits else {}))
    return tenancy.mark_ready(tenant)


ROOMY = {"requests_per_minute": 6000, "concurrent_calls": 100, "spend_per_month": "1000"}


def entitle(**changes: Any) -> None:
    """Publish what the tenant in force may use: everything within roomy limits, but for these changes."""
    published = {
        "standing": Standing.ACTIVE,
        "plan": "test",
        "plan_version": 1,
        "currency": "USD",
        "price_list": PRICE_LIST,
        "models": ("*",),
        "features": {},
        "limits": ROOMY,
    } | changes
    published["standing"] = Standing(published["standing"])
    governance.publish_entitlements(Entitlements(**published), actor=Actor.system("tests"))
