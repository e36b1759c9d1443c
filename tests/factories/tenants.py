"""Tenants as provisioning makes them."""

from uuid import UUID

from apps.governance import services as governance
from apps.governance.types import Actor, Entitlements, Standing
from apps.tenancy import services as tenancy
from apps.tenancy.types import TenantRef

PRICE_LIST = UUID("01890000-0000-7000-8000-000000000001")


def make_first_tenants() -> None:
    """acme and globex, as the fixtures of tests/conftest.py promise."""
    for slug in ("acme", "globex"):
        make_tenant(slug)


def make_tenant(slug: str, **limits: str | int) -> TenantRef:
    """A ready tenant that may use every model within these limits. Control plane."""
    tenant = tenancy.begin_tenant(slug=slug, name=slug.capitalize())
    tenancy.build_schema(tenant)
    with tenancy.in_provisioning(tenant):
        governance.publish_entitlements(
            Entitlements(
                standing=Standing.ACTIVE,
                plan="test",
                plan_version=1,
                currency="USD",
                price_list=PRICE_LIST,
                models=("*",),
                features={},
                limits=limits or {"requests_per_minute": 6000, "concurrent_calls": 100, "spend_per_month": "1000"},
            ),
            actor=Actor.system("tests"),
        )
    return tenancy.mark_ready(tenant)
