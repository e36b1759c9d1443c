"""Recurring work about people, and mail to those who look after a tenant."""

from uuid import UUID

from apps.governance.gates import EveryPlan, gated_task
from apps.identity import telling
from apps.identity.sessions import SessionStore
from apps.tenancy.selectors import all_tenants
from apps.tenancy.services import in_public, in_tenant


@gated_task("identity.clear_sessions", feature=EveryPlan("ended sessions are cleared for everybody"))
def clear_sessions() -> None:
    """Forget sessions that have expired, of every tenant's people and of operators. Control plane."""
    with in_public():
        SessionStore.clear_expired()
    for tenant in all_tenants():
        with in_tenant(tenant):
            SessionStore.clear_expired()


@gated_task("identity.tell_of_disabled_webhook", feature=EveryPlan("people are told of what we switched off"))
def tell_of_disabled_webhook(*, endpoint_id: str) -> None:
    """Mail about a webhook endpoint that was disabled because nothing reached it."""
    telling.tell_of_disabled_webhook(UUID(endpoint_id))
