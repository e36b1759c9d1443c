"""The API's description: how to authenticate, what each view answers, and every problem code."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS

from apps.errors import DomainError
from apps.keys.rest.pagination import PageQuery
from apps.keys.rest.serializers import ProblemSerializer

View = TypeVar("View", bound=Callable[..., Any])
PROBLEM = "application/problem+json"

_IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="A word of yours, such as a new UUID. The same request with the same word happens once, and "
    "for a day the repetition gets the first one's answer.",
)
_PROBLEMS = {
    400: "The request is not valid.",
    401: "The key is not accepted.",
    403: "The key may not do that, or the tenant is suspended.",
    404: "There is nothing at this address, or it is not yours.",
    405: "There is no such method here.",
    406: "No form of answer fits the Accept header.",
    409: "That cannot be done in the present state.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The Idempotency-Key came with another request before.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "A part of the service is away; try again shortly.",
}


class KeyScheme(OpenApiAuthenticationExtension):
    """How to send a key: as a bearer token, or in x-api-key."""

    target_class = "apps.keys.api.authentication.KeyAuthentication"
    name = ["bearer", "x-api-key"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        """One of the two; together they are refused."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        """Both, by name."""
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "lk_live_…", "description": "An API key."},
            {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key."},
        ]


class ApiSchema(AutoSchema):
    """Adds to each operation what all of them have: problems, the Idempotency-Key, and the scope it needs."""

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's own signature
        needed = getattr(self.view, "scopes", {}).get(self.method)
        said = str(super().get_description())
        return f"{said}\n\nNeeds the scope `{needed}`." if needed else said

    def get_override_parameters(self) -> Any:
        given = list(super().get_override_parameters())
        if self.method not in SAFE_METHODS and getattr(self.view, "scopes", {}):
            given.append(_IDEMPOTENCY)
        return given

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for status in self._problem_statuses():
            described = self._get_response_for_code(ProblemSerializer, str(status), [PROBLEM], direction)
            bodies.setdefault(str(status), described | {"description": _PROBLEMS[status]})
        return bodies

    def _problem_statuses(self) -> list[int]:
        statuses = {400, 406, 429, 503}
        if self.get_auth():
            statuses |= {401, 403, 409}
        if "{" in self.path:
            statuses.add(404)
        if self.method not in SAFE_METHODS:
            statuses |= {403, 404, 409, 413, 415, 422}
        return sorted(statuses)


def describes(
    answer: Any,
    *,
    body: Any = None,
    query: type[serializers.Serializer[Any]] | None = None,
    status: int = 200,
    examples: dict[str, Any] | None = None,
    asks: dict[str, Any] | None = None,
    name: str | None = None,
    tag: str | None = None,
) -> Callable[[View], View]:
    """Describe a handler: what it answers and takes. `examples` are answers and `asks` requests, by title."""
    shown = [
        OpenApiExample(title, value=value, response_only=True, status_codes=[str(status)])
        for title, value in (examples or {}).items()
    ]
    shown += [OpenApiExample(title, value=value, request_only=True) for title, value in (asks or {}).items()]
    parameters: list[Any] = [query] if query else []
    if isinstance(answer, type) and answer.__name__.endswith("Page"):
        parameters.append(PageQuery)
    return extend_schema(
        responses={status: answer},
        request=body,
        parameters=parameters,
        examples=shown,
        operation_id=name,
        tags=[tag] if tag else None,
    )


def add_codes(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Write every stable code with its status into the description of `Problem.code`."""
    problem = result.get("components", {}).get("schemas", {}).get("Problem")
    if problem is None:
        return result
    rows = "\n".join(f"- `{code}` ({status})" for code, status in sorted(problem_codes().items()))
    problem["properties"]["code"]["description"] = f"Stable; decide on this. One of:\n\n{rows}"
    return result


def problem_codes() -> dict[str, int]:
    """Every code that an error of ours carries, with its status."""
    found: dict[str, int] = dict(GENERAL_CODES)
    waiting = list(DomainError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found[kind.code] = kind.status
    return found


# Those that do not come from a DomainError (config/problems.py, config/views.py).
GENERAL_CODES = {
    "invalid_request": 400,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "too_large": 413,
    "unsupported_media_type": 415,
    "server_error": 500,
    "service_unavailable": 503,
}
