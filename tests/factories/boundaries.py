"""A tenant's data boundary, for tests about calls."""

from typing import Any

from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.settings import save_boundary
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef


def set_boundary(tenant: TenantRef, **settings: Any) -> Boundary:
    """Give a tenant this data boundary: `set_boundary(tenant, request={"email": "redact"})`."""
    with in_tenant(tenant):
        return save_boundary(Boundary.from_json(settings), actor=Actor.system("tests"))
