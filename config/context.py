"""What every portal template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from apps.ai_usage.portal.words import limit_label
from apps.governance.budget_alerts import REFUSED, standing_alerts
from apps.governance.selectors import entitlements
from apps.governance.types import Entitlements, Standing
from apps.identity.types import Member
from apps.tenancy.selectors import suspension_reason
from apps.tenancy.types import TenantRef, TenantState
from config.navigation import navigation

_MOST_BANNERS = 3


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
        "banners": [*_banners(tenant, entitled), *_budget_banners(member)],
    }


def _budget_banners(member: Member) -> list[dict[str, str]]:
    """What budgets that are nearly used up, or refuse, say to those who may see budgets."""
    if "settings:read" not in member.scopes:
        return []
    return [
        {
            "tone": "bad" if alert.percent == REFUSED or alert.percent >= 100 else "warn",
            "title": f"{limit_label(alert.limit)}: {alert.said}",
            "body": f"It begins again on {alert.resets_at:%Y-%m-%d %H:%M} UTC.",
            "url": "/governance/budgets/",
            "action": "Open budgets",
        }
        for alert in standing_alerts(timezone.now())[:_MOST_BANNERS]
    ]


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
