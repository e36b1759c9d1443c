"""Every test here runs inside acme, except those that need real commits and get a tenant of their own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.tenancy.services import in_tenant


@pytest.fixture
def tenant(acme: Any) -> Iterator[Any]:
    """acme, in force for the test's length."""
    with in_tenant(acme):
        yield acme


@pytest.fixture
def committing(fresh_tenant: Callable[..., Any]) -> Any:
    """A tenant of the test's own, whose changes are committed: for threads that must see each other's."""
    return fresh_tenant()
