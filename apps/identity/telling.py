"""Mail to those who look after a tenant."""

from uuid import UUID

from django.core.mail import send_mail
from django.template.loader import render_to_string

from apps.governance.errors import WebhookNotFound
from apps.governance.selectors import webhook_endpoint
from apps.identity.selectors import members
from apps.tenancy.selectors import current_tenant, primary_domain


def tell_of_disabled_webhook(endpoint_id: UUID) -> None:
    """Tell everybody who can change endpoints that one was disabled; nothing if it works again by now."""
    try:
        endpoint = webhook_endpoint(endpoint_id)
    except WebhookNotFound:
        return
    if endpoint.is_enabled:
        return
    tenant = current_tenant()
    body = render_to_string(
        "identity/webhook_disabled.txt",
        {"endpoint": endpoint, "tenant": tenant, "domain": primary_domain(tenant.id)},
    )
    for member in members():
        if member.is_active and "webhooks:write" in member.scopes:
            # One mail each: nobody learns from it who else is a member.
            send_mail(f"A webhook endpoint of {tenant.name} was disabled", body, None, [member.email])
