"""Headers that every page carries."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class SecurityHeaders:
    """The strict Content-Security-Policy and its companions; nothing loads from another host."""

    # The operator admin and the API's documentation come from packages that set styles and scripts inline.
    _RELAXED = ("/api/v1/docs", "/api/v1/schema")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        relaxed = settings.LOCKSTEP_PLANE == "control" or request.path.startswith(self._RELAXED)
        response.headers.setdefault(
            "Content-Security-Policy",
            settings.CONTENT_SECURITY_POLICY_RELAXED if relaxed else settings.CONTENT_SECURITY_POLICY,
        )
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if request.path.startswith("/static/"):
            return response
        response.headers.setdefault("Cache-Control", "no-store")
        return response
