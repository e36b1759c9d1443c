"""Calls whose provider speaks another dialect than their client: said in it, and the answer said back.

What the provider sends is metered in its own dialect; only what the client sees is translated.
"""

import time
from typing import Any

import orjson

from apps.ai_usage import bodies, normalise
from apps.ai_usage.gateway.attempts import BAD_ANSWER, Failure, Verdict
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.gateway.upstream import UpstreamFailed
from apps.ai_usage.normalise import Endpoint
from apps.ai_usage.translation import NotExpressible, answers, chat_to_messages, messages_to_chat, streams
from apps.ai_usage.types import RoutePlan, Target

NOT_EXPRESSIBLE = Failure("not_expressible", Verdict.ELSEWHERE, counts_against_target=False)

_TRANSLATABLE = (Endpoint.CHAT_COMPLETIONS, Endpoint.MESSAGES)
# What a client may switch on beside its body, which another dialect does not know.
_SWITCHES = (b"anthropic-beta", b"openai-beta")


def reachable(request: ModelRequest, route: RoutePlan, speaking: list[Target]) -> list[Target]:
    """The targets of a route of which not all speak the client's dialect; Refusal where none can be asked.

    With a target of the client's own dialect the others are only a way out, and are translated for when it comes
    to that.
    """
    if request.endpoint not in _TRANSLATABLE:
        if not speaking:
            raise Refusal(
                Kind.INVALID,
                "other_dialect",
                f"{request.model} is served in another dialect, which this endpoint cannot be translated to. "
                "Use `chat/completions` or `messages`.",
                param="model",
            )
        return speaking
    if not speaking and request.translated is None:
        try:
            request.translated = _translated(request, route)
        except NotExpressible as cannot:
            raise Refusal(
                Kind.INVALID,
                "not_expressible",
                f"{cannot} {request.model} is served in another dialect; leave it out, or choose another model.",
                param=cannot.member,
            ) from None
    return list(route.targets)


def body_for(request: ModelRequest, route: RoutePlan, target: Target, granted_output: int | None) -> bytes:
    """The request in the target's dialect; UpstreamFailed where it cannot be said."""
    if request.translated is None:
        try:
            request.translated = _translated(request, route)
        except NotExpressible as cannot:
            raise UpstreamFailed(NOT_EXPRESSIBLE, str(cannot)) from None
    said = request.translated | {"model": target.model}
    if granted_output is not None:
        limit = "max_tokens" if target.dialect == "anthropic" else "max_completion_tokens"
        said[limit] = min(said[limit], granted_output)
    return orjson.dumps(said)


def _translated(request: ModelRequest, route: RoutePlan) -> dict[str, Any]:
    for name in _SWITCHES:
        if name in request.headers:
            raise NotExpressible(name.decode())
    if request.dialect == "anthropic":
        return messages_to_chat.translate(request.parsed)
    return chat_to_messages.translate(request.parsed, max_output=route.max_output_tokens)


def answer_for(request: ModelRequest, body: bytes) -> bytes:
    """A whole answer in the client's dialect; UpstreamFailed where it is not what it should be."""
    try:
        if request.dialect == "anthropic":
            return answers.message_of_chat(body)
        return answers.chat_of_message(body, created=int(time.time()))
    except answers.UnreadableAnswer as unreadable:
        raise UpstreamFailed(BAD_ANSWER, f"answered with {unreadable}") from None


def stream_for(request: ModelRequest) -> streams.StreamTranslator:
    """What says the provider's stream in the client's dialect."""
    if request.dialect == "anthropic":
        guessed = normalise.estimate(
            request_bytes=len(request.body), remote_media=bodies.remote_media(request.body)
        )
        return streams.MessageFromChat(input_estimate=guessed.input)
    return streams.ChatFromMessage(
        include_usage=bodies.asks_for_usage(request.parsed), created=int(time.time())
    )


def error_for(request: ModelRequest, body: bytes, request_id: str) -> bytes:
    """A provider's word on the client's own mistake, in the client's dialect."""
    try:
        said = str(orjson.loads(body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        said = "The provider found this request invalid."
    return Refusal(Kind.INVALID, "invalid_request", said).body(request.dialect, request_id)
