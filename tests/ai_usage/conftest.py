"""What tests of usage share."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.tenancy.services import in_tenant


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    """acme, in force for the test's length."""
    with in_tenant(acme):
        yield acme
