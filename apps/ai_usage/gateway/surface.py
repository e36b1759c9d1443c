"""The ASGI surface: which path is which endpoint, and every failure in its dialect."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from uuid_utils.compat import uuid7

from apps.ai_usage import metrics
from apps.ai_usage.gateway import (
    background,
    caching,
    foreign,
    idempotency,
    inspection,
    listing,
    replies,
    streaming,
)
from apps.ai_usage.gateway.callers import first_look
from apps.ai_usage.gateway.calls import Call
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.process import GatewayProcess
from apps.ai_usage.gateway.replies import Send
from apps.ai_usage.gateway.requests import ClientGone, Receive, Scope, headers_of, parse, read_body
from apps.ai_usage.gateway.transport import ProvidersAnswer
from apps.ai_usage.ledger.recorder import away
from apps.ai_usage.normalise import Endpoint
from apps.errors import DomainError

log = logging.getLogger(__name__)

Handler = Callable[[GatewayProcess, UUID, Scope, Receive, Send], Awaitable[None]]

_process: GatewayProcess | None = None

_MODEL_ENDPOINTS = {
    "/v1/chat/completions": (Endpoint.CHAT_COMPLETIONS, "openai"),
    "/v1/responses": (Endpoint.RESPONSES, "openai"),
    "/v1/embeddings": (Endpoint.EMBEDDINGS, "openai"),
    "/v1/messages": (Endpoint.MESSAGES, "anthropic"),
}


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Start with the server, and stop after its last call: what was acknowledged is written down by then."""
    global _process
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _process = GatewayProcess()
            await _process.start()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            if _process is not None:
                await _process.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


def running() -> GatewayProcess | None:
    """This process's gateway, for metrics."""
    return _process


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One request to `/v1/…`. Whatever happens, the client gets an answer in its dialect, and never our insides."""
    call_id = uuid7()
    path: str = scope["path"]
    dialect = _dialect(scope, path)
    process, task = _process, asyncio.current_task()
    try:
        if process is None:
            raise Refusal(
                Kind.UNAVAILABLE, "starting", "The gateway is starting. Try again shortly.", retry_after=1
            )
        if task is not None:
            process.calls.add(task)
        await _dispatch(process, call_id, path, dialect, scope, receive, send)
    except Refusal as refusal:
        metrics.observe_refusal(refusal.code)
        await replies.send_refusal(send, dialect, call_id, refusal)
    except ClientGone:
        # A body that broke off, by a client that may still read. Without an answer the server would say 500.
        broken = Refusal(Kind.INVALID, "body_incomplete", "The body ended before all of it had arrived.")
        await replies.send_refusal(send, dialect, call_id, broken)
    finally:
        if process is not None and task is not None:
            process.calls.discard(task)


async def _dispatch(
    process: GatewayProcess,
    call_id: UUID,
    path: str,
    dialect: str,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    endpoint = _MODEL_ENDPOINTS.get(path)
    try:
        if endpoint is not None:
            if scope["method"] != "POST":
                raise _wrong_method("POST")
            await _serve(process, call_id, *endpoint, scope, receive, send)
        elif path == "/v1/messages/count_tokens":
            await listing.count_tokens(process, call_id, scope, receive, send)
        elif path == "/v1/models" or path.startswith("/v1/models/"):
            await listing.models(process, call_id, path, dialect, scope, send)
        elif path.startswith("/v1/responses/"):
            await background.stored_response(process, call_id, path, scope, send)
        else:
            raise Refusal(Kind.NOT_FOUND, "unknown_endpoint", f"There is no endpoint {path[:100]}.")
    except (Refusal, ClientGone):
        raise
    except DomainError as error:
        raise refusal_of(error) from error
    except Exception as error:
        if away(error):
            raise Refusal(
                Kind.UNAVAILABLE,
                "service_unavailable",
                "The database is away. Try again shortly.",
                retry_after=2,
            ) from error
        log.exception("a call failed in the gateway itself", extra={"call_id": str(call_id)})
        raise Refusal(
            Kind.INTERNAL, "internal_error", "Something failed on our side. It has been recorded."
        ) from error


def refusal_of(error: DomainError) -> Refusal:
    """Another app's error as the gateway says it."""
    kinds = {
        400: Kind.INVALID,
        401: Kind.AUTHENTICATION,
        402: Kind.UNPAID,
        403: Kind.PERMISSION,
        404: Kind.NOT_FOUND,
    }
    kinds |= {409: Kind.CONFLICT, 429: Kind.RATE, 503: Kind.UNAVAILABLE}
    return Refusal(
        kinds.get(error.status, Kind.INVALID), error.code, str(error), retry_after=error.retry_after
    )


async def _serve(
    process: GatewayProcess,
    call_id: UUID,
    endpoint: Endpoint,
    dialect: str,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    began = time.monotonic()
    headers = headers_of(scope)
    # Who calls comes before what is said: a stranger's body is not even read.
    caller = await first_look(process, scope, headers)
    request = parse(endpoint, dialect, headers, await read_body(headers, receive))
    call = Call(process, request, call_id, began, caller=caller)
    try:
        name = headers.get(b"idempotency-key")
        if name is not None and await idempotency.begin(call, name, scope, send):
            return
        if request.is_background:
            await background.accept(call, scope, send)
            return
        await call.prepare(scope)
        cache = call.cache = caching.begin(call)
        if cache is not None and await caching.answered(call, cache, send):
            return
        answer, attempt, body = await call.attempt()
        if body is None:
            await streaming.relay(call, answer, attempt, send, receive)
            return
        shown = body if attempt.shown is None else attempt.shown
        if call.inspection is not None:
            shown = await inspection.of_answer(call, attempt, body, shown)
        if call.kept is not None:
            call.kept.add(shown)
        if call.claim is not None:
            call.claim.add(shown)
        reported = call.reported(body, attempt)
        metered = await call.consumed(attempt, reported, status=200, outcome="ok")
        if cache is not None:
            cache.add(shown)
            caching.keep(call, cache, attempt, reported, metered)
        await replies.send_body(send, 200, replies.answer_headers(call, b"application/json"), shown)
    except ProvidersAnswer as theirs:
        status = theirs.answer.status
        call.gave_up(status=status, outcome="failed", error_code="invalid_request")
        said = theirs.body
        if call.log.attempts[-1].target.dialect != dialect:
            said = foreign.error_for(request, said, str(call_id))
        # Who reads the answer may ask again at once, under the same name.
        await _end_claim(call)
        await replies.send_body(send, status, replies.answer_headers(call, b"application/json"), said)
    except Refusal as refusal:
        call.gave_up(
            status=refusal.status(dialect),
            outcome=_outcome(call),
            error_code=refusal.code,
            said=refusal.message,
        )
        raise
    except DomainError as error:
        call.gave_up(status=error.status, outcome="refused", error_code=error.code, said=str(error))
        raise
    except asyncio.CancelledError:
        call.stopped()
        raise
    except BaseException:
        call.gave_up(status=500, outcome="failed", error_code="internal_error")
        raise
    finally:
        await _end_claim(call)


async def _end_claim(call: Call) -> None:
    claim, call.claim = call.claim, None
    if claim is not None:
        await idempotency.end(claim, call.process)


def _outcome(call: Call) -> str:
    return "failed" if call.log.attempts else "refused"


def _dialect(scope: Scope, path: str) -> str:
    if path.startswith("/v1/messages"):
        return "anthropic"
    # `/v1/models` is in both dialects; Anthropic's clients always send their version.
    if path.startswith("/v1/models") and any(name == b"anthropic-version" for name, _ in scope["headers"]):
        return "anthropic"
    return "openai"


def _wrong_method(allowed: str) -> Refusal:
    return Refusal(
        Kind.METHOD, "method_not_allowed", f"Use {allowed} here.", headers=((b"allow", allowed.encode()),)
    )
