"""The one place that turns an error into an RFC 9457 problem document."""

import math
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from apps.errors import DomainError

CODES = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "service_unavailable",
}


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """A problem document: `type`, `title`, `status`, `detail` and our stable `code`, plus what is known."""
    title = code.replace("_", " ").capitalize()
    body = {
        "type": f"urn:lockstep:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return Response(body | more, status=status, content_type="application/problem+json")


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. What is not an expected error stays one: it is logged and answered with 500."""
    if isinstance(error, DomainError):
        response = problem(error.status, error.code, str(error), **(error.details or {}))
        if error.retry_after is not None:
            response["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
        if error.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="lockstep"'
        return response
    if isinstance(error, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return problem(413, "too_large", f"The body is larger than {most} bytes.")
    if isinstance(error, UnreadablePostError):
        return problem(400, "invalid_request", "The body did not arrive whole.")
    if isinstance(error, OperationalError | InterfaceError | RedisError):
        response = problem(
            503, "service_unavailable", "A part of the service is away for a moment. Try again shortly."
        )
        response["Retry-After"] = "2"
        return response
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address, or it is not yours.")
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied("This key may not do that.")
    if not isinstance(error, exceptions.APIException):
        return None
    more = {}
    detail = "The request is not valid; see `errors`."
    if isinstance(error, exceptions.ValidationError):
        more["errors"] = error.detail
    else:
        detail = str(error.detail)
    response = problem(error.status_code, CODES.get(error.status_code, "error"), detail, **more)
    for header in ("WWW-Authenticate", "Retry-After"):
        value = getattr(error, {"WWW-Authenticate": "auth_header", "Retry-After": "wait"}[header], None)
        if value is not None:
            response[header] = str(value)
    return response
