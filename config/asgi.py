"""The web process: `/v1/…` goes to the gateway before Django's handler; everything else is Django."""

from typing import Any

from config import env

env.use_defaults_for_servers()

from django.conf import settings  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402  (needs the settings chosen above)

from config.bodies import BoundedBodies  # noqa: E402

django = BoundedBodies(get_asgi_application(), most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

from apps.ai_usage import gateway  # noqa: E402


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI entry. Django's stack costs a request over a millisecond of CPU, so the gateway does not enter it."""
    kind = scope["type"]
    if kind == "http":
        if scope["path"].startswith("/v1/"):
            await gateway.application(scope, receive, send)
        else:
            await django(scope, receive, send)
    elif kind == "lifespan":
        await gateway.lifespan(scope, receive, send)
