"""Health, metrics, the API's description, and the pages for what goes wrong."""

import sys
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.decorators import method_decorator
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django_prometheus.exports import ExportToDjangoView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from redis.exceptions import RedisError

from apps.tenancy.services import in_public
from config.problems import CODES


def live(request: HttpRequest) -> HttpResponse:
    """Whether this process runs. Touches nothing else, so that a database outage restarts no web process."""
    return JsonResponse({"status": "live"})


def ready(request: HttpRequest) -> HttpResponse:
    """Whether this process can do its work: 503 names each part that does not answer."""
    away = []
    with in_public():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Exception:  # noqa: BLE001  (any failure to answer means not ready)
            away.append("postgresql")
        try:
            cache.get("ready")
        except Exception:  # noqa: BLE001
            away.append("valkey")
    if away:
        return JsonResponse({"status": "not ready", "away": away}, status=503, headers={"Retry-After": "2"})
    return JsonResponse({"status": "ready"})


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus metrics of this process."""
    return ExportToDjangoView(request)


def welcome(request: HttpRequest) -> HttpResponse:
    """The root of a host without tenant: where to go instead, and nothing about who exists."""
    return JsonResponse(
        {
            "service": "lockstep",
            "gateway": "/v1",
            "api": "/api/v1",
            "docs": "/api/v1/docs",
            "portal": f"on your tenant's own host, <slug>.{settings.BASE_DOMAIN}",
        }
    )


class ApiSchema(SpectacularAPIView):
    """The OpenAPI 3.1 description."""

    api_version = "1"
    authentication_classes: list[type] = []


@method_decorator(xframe_options_sameorigin, name="dispatch")
class ApiDocs(SpectacularSwaggerView):
    """The browsable documentation, served from a package: no CDN."""

    authentication_classes: list[type] = []


def _page(request: HttpRequest, status: int) -> HttpResponse:
    if request.path.startswith("/api/"):
        code = CODES.get(status, "server_error")
        return JsonResponse(
            {
                "type": f"urn:lockstep:problem:{code}",
                "title": code.replace("_", " ").capitalize(),
                "status": status,
                "detail": {
                    400: "The request is not valid.",
                    403: "That is not allowed.",
                    404: "There is nothing at this address.",
                    503: "A part of the service is away for a moment. Try again shortly.",
                }.get(status, "Something failed on our side. It has been recorded."),
                "code": code,
            },
            status=status,
            content_type="application/problem+json",
        )
    # Drawn without the request: what other pages know comes from the database, which may be what is away.
    return HttpResponse(render_to_string(f"{status}.html"), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 in the surface's form."""
    return _page(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 in the surface's form."""
    return _page(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 in the surface's form."""
    return _page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 in the surface's form; 503 where PostgreSQL or Valkey did not answer."""
    # Django calls this while it handles the error, and passes it to nobody.
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError | RedisError):
        response = _page(request, 503)
        response.headers["Retry-After"] = "2"
        return response
    return _page(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "", **_: Any) -> HttpResponse:
    """A form that is too old or comes from elsewhere."""
    return _page(request, 403)
