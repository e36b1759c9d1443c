"""Recurring work about people."""

from celery import shared_task

from apps.identity.sessions import SessionStore
from apps.tenancy.selectors import all_tenants
from apps.tenancy.services import in_public, in_tenant


@shared_task(name="identity.clear_sessions")
def clear_sessions() -> None:
    """Forget sessions that have expired, of every tenant's people and of operators. Control plane."""
    with in_public():
        SessionStore.clear_expired()
    for tenant in all_tenants():
        with in_tenant(tenant):
            SessionStore.clear_expired()
