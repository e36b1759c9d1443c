"""Entering the tenant whose books are worked on, and holding them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant_or_none
from apps.tenancy.types import TenantRef, TenantState


@contextmanager
def inside(tenant: TenantRef) -> Iterator[None]:
    """The tenant in force, also one that is being made or erased: its books are the operator's at any time.

    Whoever is in the tenant already stays there, under the rule by which it entered.
    """
    in_force = current_tenant_or_none()
    if in_force is not None and in_force.id == tenant.id:
        yield
    elif tenant.state in (TenantState.DELETING, TenantState.PROVISIONING):
        with tenancy.in_provisioning(tenant):
            yield
    else:
        with tenancy.in_tenant(tenant):
            yield


@contextmanager
def books_of(tenant: TenantRef) -> Iterator[None]:
    """One transaction with the tenant in force and its books held: whatever else works on them waits."""
    with inside(tenant), transaction.atomic():
        tenancy.lock_tenant("billing")
        yield
