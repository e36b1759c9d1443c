"""What a request brought, as a serializer understands it."""

from typing import Any

from apps.keys.rest import ApiRequest


def body_of(serializer: type[Any], request: ApiRequest) -> dict[str, Any]:
    """The request's body; 400 where it is not what the serializer takes."""
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def query_of(serializer: type[Any], request: ApiRequest) -> dict[str, Any]:
    """The query's members, each given once; the page's own are left to the page."""
    given = {name: value for name, value in request.query_params.items() if name not in ("limit", "cursor")}
    query = serializer(data=given)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)
