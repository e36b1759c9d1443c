"""From what somebody typed or sent to the request that the gateway is asked about."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.utils import timezone

from apps.ai_usage import services as ai_usage
from apps.ai_usage.gateway.explaining import ExplainedRequest, Imagined
from apps.ai_usage.types import Endpoint
from apps.keys import selectors as keys


def explain(asked: Mapping[str, Any]) -> ExplainedRequest:
    """What the gateway would answer; KeyNotFound for a key of nobody here."""
    key = keys.key(asked["key_id"])
    body = asked.get("body")
    return ai_usage.explain_request(
        Imagined(
            key_id=key.id,
            key_public_id=key.key_id,
            endpoint=Endpoint(asked["endpoint"]),
            at=asked.get("at") or timezone.now(),
            model=asked["model"],
            max_output_tokens=asked["max_output_tokens"],
            tools=tuple(asked["tools"]),
            stream=asked["stream"],
            background=asked.get("background", False),
            body=None if body is None else _bytes(body),
            host=asked.get("host", ""),
            address=asked.get("address") or None,
            prompt_ref=asked.get("prompt_ref") or None,
        )
    )


def _bytes(body: Any) -> bytes:
    # As text it may be no JSON at all, or hold a member twice: that is looked at too.
    return body.encode("utf-8", "replace") if isinstance(body, str) else orjson.dumps(body)
