"""What every portal template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def portal(request: HttpRequest) -> dict[str, Any]:
    """The tenant of the host, the signed-in member, and where the API answers."""
    tenant = getattr(request, "tenant", None)
    return {
        "tenant": tenant,
        "member": getattr(request, "member", None),
        "api_base": f"{request.scheme}://{request.get_host()}/v1" if tenant else "",
        "deployment_mode": settings.DEPLOYMENT_MODE,
    }
