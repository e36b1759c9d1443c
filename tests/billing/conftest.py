"""Billing works in the control plane; these fixtures put a test there, with something to sell."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from apps.billing import services
from apps.tenancy.types import TenantRef
from deploy.local.stripe_double.testing import DoubleControl, running_stripe_double
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


@pytest.fixture(scope="session")
def double_url() -> Iterator[str]:
    """A Stripe double for the run."""
    with running_stripe_double() as url:
        yield url


@pytest.fixture
def double(double_url: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> DoubleControl:
    """Stripe, empty, with the product pointed at it, and dj-stripe too, which reads the library's own setting."""
    monkeypatch.setattr(stripe, "api_base", double_url)
    settings.STRIPE_API_BASE = double_url
    settings.STRIPE_SECRET_KEY = "sk_test_123456789012345678901234"
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]
    control = DoubleControl(double_url)
    control.reset()
    return control
