"""Lists in pages by position, not by number: stable while rows come and go, and fast to the end."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.core import signing
from rest_framework import serializers
from rest_framework.response import Response

from apps.keys.rest.errors import InvalidCursor
from apps.tenancy.selectors import current_tenant

T = TypeVar("T")
DEFAULT_LIMIT = 50
MOST_LIMIT = 200
_SIGNER = signing.Signer(salt="apps.keys.rest.cursor")
_made: dict[type[serializers.BaseSerializer[Any]], type[serializers.Serializer[Any]]] = {}


class PageQuery(serializers.Serializer[Any]):
    """The part of the query that every list understands."""

    limit = serializers.IntegerField(
        required=False,
        default=DEFAULT_LIMIT,
        min_value=1,
        max_value=MOST_LIMIT,
        help_text="How many to return.",
    )
    cursor = serializers.CharField(
        required=False, default="", max_length=1000, help_text="`next_cursor` of the page before, unchanged."
    )


class CursorPage:
    """One page of a list whose rows have a position that never changes, such as a UUIDv7.

    The cursor is signed and belongs to this tenant, this list and these filters: one from elsewhere is
    refused rather than guessed at.
    """

    def __init__(self, request: Any) -> None:
        query = PageQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        self.limit: int = query.validated_data["limit"]
        others = sorted(
            (name, values) for name, values in request.query_params.lists() if name not in query.fields
        )
        place = f"{current_tenant().id}\n{request.path}\n{others}"
        self._place = hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        cursor = query.validated_data["cursor"]
        # The position after which the page begins; None for the first page.
        self.after: str | None = self._read(cursor) if cursor else None

    def answer(
        self,
        *,
        fetch: Callable[[str | None, int], Sequence[T]],
        position: Callable[[T], object],
        show: type[serializers.BaseSerializer[Any]],
        **more: Any,
    ) -> Response:
        """Fetch one row more than is shown, to know whether there is a next page, and answer.

        `fetch` gets the position after which to begin, as text, and how many rows to return at most.
        """
        rows = list(fetch(self.after, self.limit + 1))
        shown = rows[: self.limit]
        following = self._write(str(position(shown[-1]))) if len(rows) > self.limit else None
        return Response({"data": show(shown, many=True, **more).data, "next_cursor": following})

    def _write(self, position: str) -> str:
        return _SIGNER.sign_object([self._place, position])

    def _read(self, cursor: str) -> str:
        try:
            place, position = _SIGNER.unsign_object(cursor)
        except (signing.BadSignature, ValueError, TypeError):
            raise InvalidCursor from None
        if place != self._place or not isinstance(position, str):
            raise InvalidCursor
        return position


def page_of(item: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The serializer of a page of these items, for the API's description."""
    if item not in _made:
        name = item.__name__.removesuffix("Serializer") + "Page"
        _made[item] = type(
            name,
            (serializers.Serializer,),
            {
                "__doc__": "One page, and the cursor of the next; null on the last.",
                "data": item(many=True),
                "next_cursor": serializers.CharField(allow_null=True),
            },
        )
    return _made[item]
