"""The hot path: `/v1/…` from key to answer, outside Django's handler.

`application` and `lifespan` are the ASGI entries that config/asgi.py dispatches to; `calls.serve_call` tells
the story of one call.
"""

from apps.ai_usage import metrics
from apps.ai_usage.gateway.surface import application, lifespan, running

metrics.watch(running)

__all__ = ["application", "lifespan"]
