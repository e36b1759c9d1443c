"""The tenant in force: one context variable, one way in, and no default.

django-tenants keeps the tenant on the database wrapper of a thread, which is the wrong one inside the event
loop and after a thread switch. Here it follows the flow of control (PEP 567): a task, a coroutine and a
`sync_to_async` call see the tenant of whoever started them, and a bare thread sees none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from apps.tenancy.errors import NoTenantInForce, TenantNotReady
from apps.tenancy.types import Scope, TenantRef, TenantState

PUBLIC = Scope(schema="public")
_scope: ContextVar[Scope] = ContextVar("lockstep_scope")


def scope() -> Scope:
    """Where SQL runs now; without one, NoTenantInForce."""
    try:
        return _scope.get()
    except LookupError:
        raise NoTenantInForce from None


def tenant_or_none() -> TenantRef | None:
    """The tenant in force, or None in public or outside any scope. For logs and traces only."""
    found = _scope.get(None)
    return found.tenant if found else None


@contextmanager
def in_scope(entered: Scope) -> Iterator[Scope]:
    """Run a block in a scope and put back what was before, whatever happens inside."""
    token = _scope.set(entered)
    try:
        yield entered
    finally:
        _scope.reset(token)


@contextmanager
def in_tenant(tenant: TenantRef) -> Iterator[TenantRef]:
    """Run a block for one tenant. A tenant whose schema is not whole cannot be entered."""
    if tenant.state not in (TenantState.READY, TenantState.SUSPENDED):
        raise TenantNotReady(tenant.slug)
    with in_scope(Scope(schema=tenant.schema, tenant=tenant)):
        yield tenant


@contextmanager
def in_public() -> Iterator[None]:
    """Run a block on the shared tables alone, said out loud."""
    with in_scope(PUBLIC):
        yield
