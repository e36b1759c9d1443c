"""One request as the gateway understands it: read within bounds, parsed once, forwarded as it came."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

from apps.ai_usage import bodies
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.normalise import Endpoint
from apps.governance.prompts.using import PromptUse

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Headers = dict[bytes, bytes]

# Members on which we decide. Given twice, we and the provider might read different ones.
_GOVERNED = {
    "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "background",
    "tools", "messages", "input", "service_tier", "prompt", "store", "lockstep_prompt",
}  # fmt: skip
_MOST_DEPTH = 200


@dataclass(slots=True)
class ModelRequest:
    """A request for a model: its body as it came, and what of it is governed."""

    endpoint: Endpoint
    dialect: str
    body: bytes
    parsed: dict[str, Any]
    model: str
    stream: bool
    headers: Headers

    # The approved prompt that this request was made from, where it was; policies may ask for one.
    prompt_ref: str | None = None
    prompt: PromptUse | None = None
    # The same request in the dialect of a provider that speaks another, once it was needed.
    translated: dict[str, Any] | None = None
    # Body and members as they came, where a prompt was rendered into them or placeholders were put in (shaping.py).
    original: tuple[bytes, dict[str, Any]] | None = None

    def endpoint_at(self, dialect: str) -> Endpoint:
        """The endpoint of a provider of this dialect that answers such a request."""
        if dialect == self.dialect:
            return self.endpoint
        return Endpoint.MESSAGES if dialect == "anthropic" else Endpoint.CHAT_COMPLETIONS

    @property
    def is_background(self) -> bool:
        """Whether a worker is to make the call (`POST /v1/responses` with `background: true`)."""
        return self.endpoint is Endpoint.RESPONSES and self.parsed.get("background") is True


def headers_of(scope: Scope) -> Headers:
    """Header by lower-case name. Those that must be single are refused when they are not."""
    headers: Headers = {}
    for name, value in scope["headers"]:
        if name in headers and name in _SINGLE:
            raise Refusal(
                Kind.INVALID, "duplicate_header", f"The header {name.decode('latin-1')} was sent twice."
            )
        headers[name] = value
    return headers


_SINGLE = {b"authorization", b"x-api-key", b"content-type", b"content-length", b"host", b"idempotency-key"}


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """The whole body, within size and time."""
    most = settings.GATEWAY_MAX_BODY
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        return body
    parts, size = [], 0
    try:
        async with asyncio.timeout(settings.GATEWAY_BODY_TIMEOUT):
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise _too_large(most)
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
                message = await receive()
    except TimeoutError:
        raise Refusal(
            Kind.REQUEST_TIMEOUT,
            "body_timeout",
            f"The body did not arrive within {settings.GATEWAY_BODY_TIMEOUT} s.",
        ) from None


class ClientGone(Exception):
    """The client closed the connection; nobody is there to answer."""


def _too_large(most: int) -> Refusal:
    return Refusal(Kind.TOO_LARGE, "body_too_large", f"The body is larger than {most} bytes.")


def parse_json(headers: Headers, body: bytes) -> dict[str, Any]:
    """The JSON object in a body, or a sentence that says why there is none."""
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Refusal(
            Kind.MEDIA_TYPE,
            "unsupported_media_type",
            "Send the body as JSON with `content-type: application/json`.",
        )
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(Kind.MEDIA_TYPE, "unsupported_encoding", "Send the body without content-encoding.")
    try:
        parsed = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        raise Refusal(Kind.INVALID, "invalid_json", "The body is not valid JSON in UTF-8.") from None
    if type(parsed) is not dict:
        raise Refusal(Kind.INVALID, "invalid_json", "The body must be a JSON object.")
    _refuse_ambiguity(body)
    return parsed


def parse(endpoint: Endpoint, dialect: str, headers: Headers, body: bytes) -> ModelRequest:
    """Understand a body, or say in a sentence why not. Nothing unusual is guessed at."""
    parsed = parse_json(headers, body)
    model = parsed.get("model")
    if type(model) is not str or not model or len(model) > 120:
        raise Refusal(Kind.INVALID, "model_required", "Say which model in `model`.", param="model")
    stream = parsed.get("stream")
    if stream is not None and type(stream) is not bool:
        raise Refusal(Kind.INVALID, "invalid_stream", "`stream` must be true or false.", param="stream")
    _check_fields(endpoint, parsed)
    return ModelRequest(endpoint, dialect, body, parsed, model, bool(stream), headers)


def _check_fields(endpoint: Endpoint, parsed: dict[str, Any]) -> None:
    for name in bodies.OUTPUT_LIMITS[endpoint]:
        value = parsed.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise Refusal(
                Kind.INVALID, "invalid_output_limit", f"`{name}` must be a positive whole number.", param=name
            )
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        choices = parsed.get("n")
        if choices is not None and (type(choices) is not int or not 1 <= choices <= 128):
            raise Refusal(Kind.INVALID, "invalid_n", "`n` must be a whole number from 1 to 128.", param="n")
        options = parsed.get("stream_options")
        if options is not None and type(options) is not dict:
            raise Refusal(
                Kind.INVALID,
                "invalid_stream_options",
                "`stream_options` must be an object.",
                param="stream_options",
            )
    if (
        endpoint in (Endpoint.CHAT_COMPLETIONS, Endpoint.MESSAGES)
        and type(parsed.get("messages")) is not list
        and not ("lockstep_prompt" in parsed and parsed.get("messages") is None)
    ):
        raise Refusal(
            Kind.INVALID, "messages_required", "`messages` must be a list of messages.", param="messages"
        )
    if endpoint is Endpoint.MESSAGES and parsed.get("max_tokens") is None:
        raise Refusal(Kind.INVALID, "max_tokens_required", "`max_tokens` is required.", param="max_tokens")
    if endpoint is Endpoint.EMBEDDINGS and parsed.get("input") is None:
        raise Refusal(Kind.INVALID, "input_required", "`input` is required.", param="input")
    background = parsed.get("background")
    if background is not None and type(background) is not bool:
        raise Refusal(
            Kind.INVALID, "invalid_background", "`background` must be true or false.", param="background"
        )


def _refuse_ambiguity(body: bytes) -> None:
    """Refuse a governed member given twice, which two parsers may read differently."""
    # An escape may spell a key another way; then, and where a name stands more than once, look closely.
    if body.count(b'"model"') == 1 and b"\\u" not in body and not _any_twice(body):
        return
    seen: set[str] = set()
    for member in bodies.members(body):
        if member.name in seen and member.name in _GOVERNED:
            raise Refusal(
                Kind.INVALID, "duplicate_member", f"`{member.name}` is given twice.", param=member.name
            )
        seen.add(member.name)


_QUOTED = [f'"{name}"'.encode() for name in sorted(_GOVERNED - {"model"})]


def _any_twice(body: bytes) -> bool:
    return any(body.count(name) > 1 for name in _QUOTED)
