"""What the tenant in force may use, published as billing does it. Ends with the test's transaction."""

from apps.governance.services import publish_entitlements
from apps.governance.types import Actor, Entitlements, Standing
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import in_tenant
from tests.factories.tenants import PRICE_LIST
from tests.planes import control_plane


def entitle(*, standing: Standing = Standing.ACTIVE, **limits: str | int) -> None:
    """These limits for the rest of the test. The tenant plane could not write them."""
    tenant = current_tenant()
    with control_plane(), in_tenant(tenant):
        publish_entitlements(
            Entitlements(
                standing=standing,
                plan="test",
                plan_version=1,
                currency="USD",
                price_list=PRICE_LIST,
                models=("*",),
                limits=dict(limits),
            ),
            actor=Actor.system("tests"),
        )
