"""Answers to clients: heads, bodies and headers in each dialect."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Refusal
from apps.governance.admission.ask import Admitted
from apps.governance.admission.types import Quota

Send = Callable[[dict[str, Any]], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]


async def send_body(send: Send, status: int, headers: Pairs, body: bytes) -> None:
    """A whole answer."""
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_refusal(send: Send, dialect: str, call_id: UUID, refusal: Refusal) -> None:
    """A refusal in the dialect's form."""
    headers = [*request_ids(call_id), (b"content-type", b"application/json"), *refusal.response_headers()]
    await send_body(send, refusal.status(dialect), headers, refusal.body(dialect, str(call_id)))


def request_ids(call_id: UUID) -> Pairs:
    """The call's id under the names that the SDKs and our own tools read."""
    text = str(call_id).encode()
    return [(b"x-request-id", text), (b"request-id", text), (b"x-lockstep-call-id", text)]


def answer_headers(call: Call, content_type: bytes) -> Pairs:
    """What every answered call says: who it was, where it went, what is left of the limits."""
    headers = request_ids(call.log.id)
    headers.append((b"content-type", content_type))
    if call.log.attempts:
        last = call.log.attempts[-1].target
        headers.append((b"x-lockstep-provider", last.provider.encode()))
        headers.append((b"x-lockstep-attempts", str(len(call.log.attempts)).encode()))
        if last.dialect != call.request.dialect:
            headers.append((b"x-lockstep-translated-from", last.dialect.encode()))
    if call.cache is not None:
        headers.append((b"x-lockstep-cache", call.cache.state))
    admitted = call.admitted
    if admitted is not None:
        headers += limit_headers(call.request.dialect, admitted)
        if admitted.is_clamped or (call.permitted is not None and call.permitted.output_cap is not None):
            headers.append((b"x-lockstep-output-clamped-to", str(admitted.granted_output_tokens).encode()))
    if call.caller is not None and call.caller.key.principal.deprecated:
        expires = call.caller.key.principal.expires_at
        headers.append((b"deprecation", f"@{int(time.time())}".encode()))
        headers.append((b"sunset", expires.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()))
    return headers


def limit_headers(dialect: str, admitted: Admitted) -> Pairs:
    """Remaining requests and tokens under each dialect's names; absent where nothing limits them."""
    headers: Pairs = []
    for unit, quota in (("requests", admitted.requests), ("tokens", admitted.tokens)):
        if quota is not None:
            headers += _quota_headers(dialect, unit, quota)
    return headers


def _quota_headers(dialect: str, unit: str, quota: Quota) -> Pairs:
    remaining = str(max(0, quota.remaining)).encode()
    limit = str(quota.limit.limit).encode()
    if dialect == "anthropic":
        prefix = f"anthropic-ratelimit-{unit}-".encode()
        reset = datetime.fromtimestamp(quota.reset_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        return [(prefix + b"limit", limit), (prefix + b"remaining", remaining), (prefix + b"reset", reset)]
    seconds = max(0.0, quota.reset_at - time.time())
    duration = f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3f}s"
    name = unit.encode()
    return [
        (b"x-ratelimit-limit-" + name, limit),
        (b"x-ratelimit-remaining-" + name, remaining),
        (b"x-ratelimit-reset-" + name, duration.encode()),
    ]
