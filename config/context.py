"""What every portal template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.governance.selectors import entitlements
from apps.governance.types import Entitlements, Standing
from apps.tenancy.selectors import suspension_reason
from apps.tenancy.types import TenantRef, TenantState
from config.navigation import navigation


def portal(request: HttpRequest) -> dict[str, Any]:
    """The tenant of the host, the signed-in member, the shell around a page, and where the API answers."""
    tenant = getattr(request, "tenant", None)
    return {
        "tenant": tenant,
        "member": getattr(request, "member", None),
        "api_base": f"{request.scheme}://{request.get_host()}/v1" if tenant else "",
        "deployment_mode": settings.DEPLOYMENT_MODE,
        "shell": _shell(request, tenant) if tenant else {},
    }


def _shell(request: Any, tenant: TenantRef) -> dict[str, Any]:
    member = getattr(request, "member", None)
    if member is None:
        # Whoever is not signed in learns the name on the door and nothing else.
        return {"tenant": {"name": tenant.name}}
    entitled = entitlements()
    return {
        "tenant": {"name": tenant.name, "plan": entitled.plan},
        "member": {"name": member.name, "email": member.email, "role": member.role.label},
        "nav": navigation(member, request.path, entitled),
        "banners": _banners(tenant, entitled),
    }


def _banners(tenant: TenantRef, entitled: Entitlements) -> list[dict[str, str]]:
    banners = []
    if tenant.state is TenantState.SUSPENDED:
        banners.append(
            {
                "tone": "bad",
                "title": "This tenant is suspended.",
                "body": f"{suspension_reason(tenant.id)} Calls are refused and nothing can be changed.",
            }
        )
    if entitled.standing is Standing.UNPAID:
        banners.append(
            {
                "tone": "bad",
                "title": "Payment is overdue.",
                "body": "Calls are refused until the open invoice is paid.",
                "url": "/invoices/",
                "action": "Open invoices",
            }
        )
    if entitled.standing is Standing.NONE:
        banners.append(
            {
                "tone": "warn",
                "title": "There is no plan yet.",
                "body": "Calls are refused until the operator of this service gives this tenant a plan.",
            }
        )
    return banners
