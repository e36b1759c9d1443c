"""A double for this folder's tests and the official client pointed at it."""

from collections.abc import Iterator

import pytest
import stripe

from deploy.local.stripe_double.testing import DoubleControl, running_stripe_double


@pytest.fixture(scope="session")
def double_url() -> Iterator[str]:
    with running_stripe_double() as url:
        yield url


@pytest.fixture
def double(double_url: str) -> DoubleControl:
    control = DoubleControl(double_url)
    control.reset()
    return control


@pytest.fixture
def client(double: DoubleControl) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_123456789012345678901234",
        base_addresses={"api": double.url},
        stripe_version="2026-05-27.dahlia",
        max_network_retries=0,
    )
