"""Recurring work about people, and mail to those who look after a tenant."""

from uuid import UUID

from celery import shared_task

from apps.identity import telling
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


@shared_task(name="identity.tell_of_disabled_webhook")
def tell_of_disabled_webhook(*, endpoint_id: str) -> None:
    """Mail about a webhook endpoint that was disabled because nothing reached it."""
    telling.tell_of_disabled_webhook(UUID(endpoint_id))
