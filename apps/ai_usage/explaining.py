"""Asking the gateway why, from a thread: this process's own if it serves calls, otherwise one made for it."""

import asyncio

from apps.ai_usage.background import plane
from apps.ai_usage.errors import ExplanationTookTooLong
from apps.ai_usage.gateway import surface
from apps.ai_usage.gateway.explaining import ExplainedRequest, Imagined, explain
from apps.tenancy.selectors import current_tenant

_PATIENCE = 15


def explain_request(imagined: Imagined) -> ExplainedRequest:
    """What the gateway would answer to a request of the tenant in force: the same rules and counters, nothing held."""
    process = surface.running()
    if process is None or process.loop is None:
        process = plane().process
    assert process.loop is not None
    asked = asyncio.run_coroutine_threadsafe(explain(process, current_tenant(), imagined), process.loop)
    try:
        return asked.result(_PATIENCE)
    except TimeoutError:
        asked.cancel()
        raise ExplanationTookTooLong from None
