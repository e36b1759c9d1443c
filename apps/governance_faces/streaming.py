"""Answers that are made while they are sent, in a tenant that the view has left by then."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse

from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef


def streamed(
    request: Any, tenant: TenantRef, pieces: Iterator[bytes], *, content_type: str, filename: str
) -> StreamingHttpResponse:
    """A download. Each piece is made inside the tenant, and sent before the next is made."""

    def following() -> bytes | None:
        with in_tenant(tenant):
            return next(pieces, None)

    async def waiting() -> AsyncIterator[bytes]:
        while (piece := await sync_to_async(following)()) is not None:
            yield piece

    def working() -> Iterator[bytes]:
        while (piece := following()) is not None:
            yield piece

    # Each kind of server would first collect what is made for the other.
    is_async = isinstance(getattr(request, "_request", request), ASGIRequest)
    return StreamingHttpResponse(
        waiting() if is_async else working(),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )
