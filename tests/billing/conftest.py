"""Billing works in the control plane; these fixtures put a test there, with something to sell."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.billing import services
from apps.tenancy.types import TenantRef
from tests.factories.selling import NOW, OPERATOR, apply
from tests.planes import control_plane


@pytest.fixture
def control(db: None) -> Iterator[None]:
    """The control plane, in public, in a transaction that is rolled back."""
    with control_plane():
        yield


@pytest.fixture
def selling(control: None) -> Any:
    """The plans `solo` and `team` are for sale."""
    return apply()


@pytest.fixture
def customer(selling: Any, acme: TenantRef) -> TenantRef:
    """acme on the plan team since the first instant of October 2026."""
    services.subscribe(acme, plan="team", actor=OPERATOR, now=NOW.replace(month=10, day=1, hour=0))
    return acme
