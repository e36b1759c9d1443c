"""Speaking to a provider: bytes out as the client sent them, bytes back within bounds."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import aiohttp
from django.conf import settings

from apps.ai_usage import bodies
from apps.ai_usage.gateway.attempts import BAD_ANSWER, CONNECT, CUT, TIMEOUT, Failure
from apps.ai_usage.gateway.requests import Headers, ModelRequest
from apps.ai_usage.gateway.wire import Response, Wire
from apps.ai_usage.normalise import Endpoint
from apps.ai_usage.types import RoutePlan, Target

log = logging.getLogger(__name__)

PATHS = {
    Endpoint.CHAT_COMPLETIONS: "/chat/completions",
    Endpoint.RESPONSES: "/responses",
    Endpoint.EMBEDDINGS: "/embeddings",
    Endpoint.MESSAGES: "/messages",
}
# What a client may say to the provider beside its body.
_FORWARDED = {
    b"anthropic-version": "anthropic-version",
    b"anthropic-beta": "anthropic-beta",
    b"openai-beta": "OpenAI-Beta",
}
_MOST_ERROR_BODY = 256 * 1024


class UpstreamFailed(Exception):
    """No usable answer; `failure` says of what kind. Nothing has been sent to the client."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason


class UpstreamCut(Exception):
    """An answer that had begun broke off, stalled, or grew beyond its bound."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Answer:
    """A provider's answer whose body has not been read yet."""

    response: Response | None  # None: read already
    status: int
    headers: dict[str, str]
    # Of a stream: what had arrived when it was found to be one. Until then another target can still be tried.
    first_chunk: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id") or self.headers.get("request-id") or ""

    def close(self) -> None:
        """Drop the connection: what comes is not wanted any more."""
        if self.response is not None:
            self.response.close()


def url_of(target: Target, path: str) -> str:
    """Where a target answers. Base addresses are given with or without their version, as each SDK does."""
    base = target.base_url
    if target.dialect == "anthropic" and not base.endswith("/v1"):
        base += "/v1"
    return base + path


def body_for(request: ModelRequest, target: Target, granted_output: int | None) -> bytes:
    """The client's bytes, changed only where they must be: model name, usage in streams, a clamped output."""
    body = renamed(request.body, request.parsed, request.model, target)
    if (
        request.stream
        and request.endpoint is Endpoint.CHAT_COMPLETIONS
        and not bodies.asks_for_usage(request.parsed)
    ):
        body = bodies.with_include_usage(body, request.parsed)
    if granted_output is not None:
        body = bodies.with_max_tokens(body, request.parsed, request.endpoint, granted_output)
    return body


def renamed(body: bytes, parsed: dict[str, Any], model: str, target: Target) -> bytes:
    """The body with the target's own name for the model."""
    return body if target.model == model else bodies.with_model(body, parsed, target.model)


async def post(
    wire: Wire,
    route: RoutePlan,
    target: Target,
    path: str,
    body: bytes,
    client: Headers,
    attempt_id: str,
) -> Answer:
    """Send a request and wait for the head of the answer; UpstreamFailed where none comes in time."""
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "x-client-request-id": attempt_id,
    }
    if target.dialect == "anthropic":
        headers["x-api-key"] = target.credential
        headers["anthropic-version"] = "2023-06-01"
    else:
        headers["authorization"] = f"Bearer {target.credential}"
    for name, sent in _FORWARDED.items():
        if name in client:
            headers[sent] = client[name].decode("latin-1")
    timeout = _timeout(route.connect_timeout, max(route.first_byte_timeout, route.between_bytes_timeout))
    try:
        async with asyncio.timeout(route.connect_timeout + route.first_byte_timeout):
            response = await wire.post(url_of(target, path), headers, body, timeout)
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
        raise UpstreamFailed(CONNECT, f"no connection: {type(error).__name__}") from error
    except TimeoutError as error:
        raise UpstreamFailed(TIMEOUT, f"no answer within {route.first_byte_timeout} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise UpstreamFailed(CUT, f"connection lost: {type(error).__name__}") from error
    return Answer(response, response.status, response.headers)


def check_kind(answer: Answer, wanted: str) -> None:
    """UpstreamFailed unless a body is of the kind that was asked for, and as it is."""
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("identity", ""):
        # We asked for none, and inflating what somebody else compressed is how bombs go off.
        answer.close()
        raise UpstreamFailed(BAD_ANSWER, f"answered with content-encoding {encoding}")
    if answer.content_type != wanted:
        answer.close()
        raise UpstreamFailed(BAD_ANSWER, f"answered with content type {answer.content_type or 'none'!r}")


@cache
def _timeout(connect: float, read: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


async def read_error(answer: Answer) -> bytes:
    """The body of an error answer, as much of it as anybody needs."""
    body = bytearray()
    assert answer.response is not None
    try:
        async with asyncio.timeout(10):
            async for chunk in answer.response.content.iter_any():
                body += chunk
                if len(body) > _MOST_ERROR_BODY:
                    answer.close()
                    break
    except (aiohttp.ClientError, OSError, TimeoutError):
        answer.close()
    return bytes(body)


async def read_all(answer: Answer, seconds: float) -> bytes:
    """The whole body; UpstreamFailed when it breaks off, or is larger or slower than it may be."""
    response = answer.response
    assert response is not None
    most = settings.GATEWAY_MAX_RESPONSE
    declared = response.content_length
    fits = declared is not None and declared <= most
    try:
        if fits and response.content.is_eof():
            # It came together with the head, as short answers do: a timer for it would be set in vain.
            return await response.content.read()
        async with asyncio.timeout(seconds):
            if fits:
                return await response.content.read()
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > most:
                    answer.close()
                    raise UpstreamFailed(BAD_ANSWER, f"answered with more than {most} bytes")
            return bytes(body)
    except TimeoutError as error:
        answer.close()
        raise UpstreamFailed(TIMEOUT, "the answer took too long") from error
    except (aiohttp.ClientError, OSError) as error:
        answer.close()
        raise UpstreamFailed(CUT, f"the answer broke off: {type(error).__name__}") from error


async def read_first_chunk(answer: Answer, route: RoutePlan) -> None:
    """Wait until a stream has begun; UpstreamFailed when it does not, while nothing has gone to the client."""
    assert answer.response is not None
    try:
        async with asyncio.timeout(route.first_byte_timeout):
            answer.first_chunk = await answer.response.content.readany()
    except TimeoutError as error:
        answer.close()
        raise UpstreamFailed(TIMEOUT, f"no first byte within {route.first_byte_timeout} s") from error
    except (aiohttp.ClientError, OSError) as error:
        answer.close()
        raise UpstreamFailed(CUT, f"the stream broke off before it began: {type(error).__name__}") from error
    if not answer.first_chunk:
        raise UpstreamFailed(CUT, "the stream ended before it began")


async def chunks(answer: Answer, route: RoutePlan) -> AsyncIterator[bytes]:
    """What arrives, as it arrives; UpstreamCut when it breaks off or stops for too long."""
    if answer.first_chunk:
        yield answer.first_chunk
    assert answer.response is not None
    content = answer.response.content
    try:
        while True:
            async with asyncio.timeout(route.between_bytes_timeout):
                chunk = await content.readany()
            if not chunk:
                return
            yield chunk
    except TimeoutError:
        raise UpstreamCut(f"nothing for {route.between_bytes_timeout} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamCut(f"the stream broke off: {type(error).__name__}") from error
