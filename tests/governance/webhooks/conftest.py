"""Endpoints on this machine, which only the development setting allows, and a courier to carry to them."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.governance.webhooks.receiver import Receiver, receiving


@pytest.fixture
def local(django_db_setup: None, settings: Any) -> None:
    """Endpoints on loopback may be used."""
    settings.WEBHOOK_ALLOW_LOCAL = True


@pytest.fixture
def receiver(local: None) -> Iterator[Receiver]:
    """A tenant's server that accepts everything."""
    with receiving() as running:
        yield running
