"""Decides from the host which tenant a request is for, or that the host does not exist."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound

from apps.tenancy import context
from apps.tenancy.hosts import normalise, tenant_for_host

_OPEN_TO_ALL = ("/health/live", "/health/ready")


class RequestTenant:
    """Outermost middleware: sets the scope and the URLconf of the host, or answers 404.

    An unknown host, a tenant that is being made or erased, and the other plane's hosts all get the same
    short answer, which says nothing about who exists.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = normalise(request.META.get("HTTP_HOST", ""))
        if settings.LOCKSTEP_PLANE == "control":
            return self._operator(request, host)
        if host in settings.SHARED_HOSTS or (request.path in _OPEN_TO_ALL and not host):
            request.urlconf = "config.urls.public"
            with context.in_public():
                return self.get_response(request)
        tenant = tenant_for_host(host)
        if tenant is None or not tenant.is_served:
            return HttpResponseNotFound("There is nothing at this address.\n", content_type="text/plain")
        request.urlconf = "config.urls.tenant"
        request.tenant = tenant  # type: ignore[attr-defined]  # Django lets middleware add to a request
        with context.in_tenant(tenant):
            return self.get_response(request)

    def _operator(self, request: HttpRequest, host: str) -> HttpResponse:
        if host not in settings.OPERATOR_HOSTS:
            return HttpResponseNotFound("There is nothing at this address.\n", content_type="text/plain")
        request.urlconf = "config.urls.operator"
        with context.in_public():
            return self.get_response(request)
