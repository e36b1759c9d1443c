"""The simulator's HTTP server: who may call, what was asked, how it is answered, and what is noted of it."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from deploy.local.model_simulator import delivery, dialects
from deploy.local.model_simulator.answer import PrefixCache, compose
from deploy.local.model_simulator.ask import Ask
from deploy.local.model_simulator.behaviour import (
    PLAIN,
    Behaviour,
    UnknownOption,
    from_header,
    from_model_name,
)
from deploy.local.model_simulator.dialects import ANTHROPIC, OPENAI, Refusal
from deploy.local.model_simulator.endpoints import (
    chat,
    embeddings,
    messages,
    messages_wire,
    models,
    responses,
    responses_wire,
)
from deploy.local.model_simulator.exchange import Exchange, Frame, new_id
from deploy.local.model_simulator.faults import FaultBook, Occasion
from deploy.local.model_simulator.served import CLIENT_GONE, COMPLETED, CUT, FAILED, REFUSED, Entry, ServedLog

_LARGEST_BODY: Final = 32 << 20
_log: Final = logging.getLogger("lockstep.model_simulator")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model endpoint: how its requests are read and its answers written."""

    name: str
    path: str
    dialect: str
    id_prefix: str
    read: Callable[[dict[str, Any]], Ask]
    render: Callable[[Exchange], dict[str, Any]]
    frames: Callable[[Exchange], Iterator[Frame]] | None = None
    is_billed: bool = True


def _render_count(exchange: Exchange) -> dict[str, Any]:
    return {"input_tokens": exchange.answer.usage.total_input}


ENDPOINTS: Final = (
    Endpoint(
        "chat.completions", "/v1/chat/completions", OPENAI, chat.ID_PREFIX,
        chat.read, chat.render, chat.frames,
    ),
    Endpoint(
        "responses", "/v1/responses", OPENAI, responses.ID_PREFIX,
        responses.read, responses_wire.render, responses_wire.frames,
    ),
    Endpoint(
        "embeddings", "/v1/embeddings", OPENAI, embeddings.ID_PREFIX,
        embeddings.read, embeddings.render,
    ),
    Endpoint(
        "messages", "/v1/messages", ANTHROPIC, messages.ID_PREFIX,
        messages.read, messages_wire.render, messages_wire.frames,
    ),
    Endpoint(
        "count_tokens", "/v1/messages/count_tokens", ANTHROPIC, "count_",
        messages.read_prompt, _render_count, is_billed=False,
    ),
)  # fmt: skip


class Simulator:
    """The state of one simulator: its rules, its log, its prompt cache."""

    def __init__(self, api_keys: frozenset[str] = frozenset()) -> None:
        self.api_keys = api_keys
        self.faults = FaultBook()
        self.served = ServedLog()
        self.prefixes = PrefixCache()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let every answer go that is held back until now."""
        self._released.set()
        self._released = asyncio.Event()

    def model_handler(self, endpoint: Endpoint) -> Callable[[web.Request], Any]:
        """Return what answers requests to a model endpoint."""

        async def handler(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            entry = self._note(request, endpoint.name, endpoint.dialect)
            try:
                return await self._answer(request, endpoint, entry, started)
            except Refusal as refusal:
                return self._refuse(refusal, entry, started)
            except delivery.Broken:
                entry.end(CUT)
                return web.Response()  # never arrives: the connection is gone
            except (asyncio.CancelledError, ConnectionError):
                entry.end(CLIENT_GONE)
                raise
            finally:
                entry.end(FAILED)  # unless it has ended, which every other way out has seen to

        return handler

    def _note(self, request: web.Request, endpoint: str, dialect: str) -> Entry:
        prefix = "req_" if dialect == OPENAI else "req_011"
        return self.served.add(
            Entry(
                seq=self.served.next_seq(),
                request_id=new_id(prefix),
                response_id=None,
                at=time.time(),
                dialect=dialect,
                endpoint=endpoint,
                model="",
                served_model="",
                api_key="",
                user=None,
                client_request_id=request.headers.get("x-client-request-id"),
                idempotency_key=request.headers.get("idempotency-key"),
                stream=False,
                service_tier="",
            )
        )

    async def _answer(
        self, request: web.Request, endpoint: Endpoint, entry: Entry, started: float
    ) -> web.StreamResponse:
        entry.api_key = self._authenticate(request, endpoint.dialect)
        body = await _read_body(request)
        model = body.get("model")
        entry.model = entry.served_model = model if isinstance(model, str) else ""
        ask = _understood(endpoint, body)
        entry.user, entry.stream = ask.user, ask.stream
        behaviour = self._behaviour(request, entry)

        if behaviour.status is not None or behaviour.redirect is not None:
            await delivery.sleep_ms(behaviour.latency_ms)
            return self._turn_away(behaviour, entry, started)

        if not endpoint.is_billed:
            ask.prompt.marks.clear()  # counting a prompt does not put it into the cache
        composed = compose(ask, behaviour, cache=self.prefixes, api_key=entry.api_key, now=time.monotonic())
        exchange = Exchange(ask, behaviour, composed, new_id(endpoint.id_prefix), int(entry.at))
        if not (behaviour.hang or behaviour.abort):
            _bill(entry, exchange, endpoint)
        if behaviour.held:
            await self._released.wait()
        await _before_answer(request, behaviour)
        if behaviour.interim:
            delivery.announce(request, behaviour.interim)

        headers = dialects.headers(endpoint.dialect, entry.request_id, started, composed.usage.total_input)
        headers["server"] = "lockstep-model-simulator"
        is_stream = ask.stream and endpoint.frames is not None and not behaviour.gzip_bomb
        headers["content-type"] = behaviour.wrong_content_type or (
            "text/event-stream; charset=utf-8" if is_stream else "application/json"
        )
        if behaviour.headers:
            headers |= behaviour.headers
        entry.status = behaviour.told_status
        if is_stream and endpoint.frames is not None and behaviour.body is None:
            headers["cache-control"] = "no-cache"
            return await delivery.stream(request, exchange, endpoint.frames(exchange), entry, headers)
        rendered = delivery.json_body(endpoint.render(exchange))
        if behaviour.body is not None:
            rendered = behaviour.body.encode("latin-1")
        return await delivery.whole(request, rendered, behaviour, entry, headers)

    def _authenticate(self, request: web.Request, dialect: str) -> str:
        given = request.headers.get("authorization", "")
        key = given[7:].strip() if given[:7].lower() == "bearer " else ""
        if dialect == ANTHROPIC:
            key = request.headers.get("x-api-key", "") or key
        if not key:
            raise Refusal(
                401,
                "x-api-key header is required"
                if dialect == ANTHROPIC
                else "You didn't provide an API key. You need to provide your API key in an Authorization "
                "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )
        if self.api_keys and key not in self.api_keys:
            raise Refusal(401)
        if dialect == ANTHROPIC and not request.headers.get("anthropic-version"):
            raise Refusal(400, "anthropic-version: header is required")
        return key

    def _behaviour(self, request: web.Request, entry: Entry) -> Behaviour:
        try:
            behaviour = from_model_name(entry.model) if "sim-" in entry.model else PLAIN
            if header := request.headers.get("x-sim"):
                behaviour = from_header(behaviour, header)
        except UnknownOption as error:
            raise Refusal(400, str(error), param="model") from error
        if self.faults.is_empty:
            return behaviour
        occasion = Occasion(
            entry.model,
            entry.dialect,
            entry.endpoint,
            entry.stream,
            request.headers,
            entry.user,
            entry.api_key,
        )
        behaviour, entry.rule = self.faults.apply(behaviour, occasion)
        return behaviour

    def _turn_away(self, behaviour: Behaviour, entry: Entry, started: float) -> web.Response:
        if behaviour.status is None:
            entry.status = 307
            entry.end(REFUSED)
            return web.Response(status=307, headers={"location": behaviour.redirect or "/"})
        headers: dict[str, str] = {}
        if behaviour.retry_after is not None:
            headers["retry-after"] = behaviour.retry_after
        if behaviour.retry_after_ms is not None:
            headers["retry-after-ms"] = str(behaviour.retry_after_ms)
        if behaviour.should_retry is not None:
            headers["x-should-retry"] = behaviour.should_retry
        refusal = Refusal(
            behaviour.status,
            behaviour.error_message,
            type=behaviour.error_type,
            code=behaviour.error_code,
            headers=headers | (behaviour.headers or {}),
        )
        return self._refuse(refusal, entry, started, content_type=behaviour.wrong_content_type)

    def _refuse(
        self, refusal: Refusal, entry: Entry, started: float, *, content_type: str | None = None
    ) -> web.Response:
        entry.status = refusal.status
        entry.end(REFUSED)
        headers = dialects.headers(entry.dialect, entry.request_id, started, 0) | refusal.headers
        headers["content-type"] = content_type or "application/json"
        body = delivery.json_body(refusal.body(entry.dialect, entry.request_id))
        return web.Response(status=refusal.status, body=body, headers=headers)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /v1/models` and `/v1/models/{id}`; Anthropic's clients are known by their headers."""
        started = time.perf_counter()
        is_anthropic = "anthropic-version" in request.headers or "x-api-key" in request.headers
        dialect = ANTHROPIC if is_anthropic else OPENAI
        name = request.match_info.get("model")
        entry = self._note(request, "models", dialect)
        entry.model = name or ""
        try:
            entry.api_key = self._authenticate(request, dialect)
            behaviour = self._behaviour(request, entry)
            await _before_answer(request, behaviour)
            if behaviour.status is not None or behaviour.redirect is not None:
                return self._turn_away(behaviour, entry, started)
            body = models.listed(dialect) if name is None else models.described(dialect, name)
            headers = dialects.headers(dialect, entry.request_id, started, 0)
            headers["content-type"] = behaviour.wrong_content_type or "application/json"
            return await delivery.whole(request, delivery.json_body(body), behaviour, entry, headers)
        except Refusal as refusal:
            return self._refuse(refusal, entry, started)
        except delivery.Broken:
            entry.end(CUT)
            return web.Response()  # never arrives: the connection is gone
        except (asyncio.CancelledError, ConnectionError):
            entry.end(CLIENT_GONE)
            raise

    async def unknown_path(self, request: web.Request) -> web.Response:
        """Refuse a path or a method that the providers do not have."""
        dialect = ANTHROPIC if "anthropic-version" in request.headers else OPENAI
        is_known = request.path in {endpoint.path for endpoint in ENDPOINTS}
        refusal = Refusal(
            405 if is_known else 404,
            "Method Not Allowed" if is_known else f"Invalid URL ({request.method} {request.path})",
        )
        entry = self._note(request, "unknown", dialect)
        return self._refuse(refusal, entry, time.perf_counter())

    async def redirected(self, request: web.Request) -> web.Response:
        """Note that somebody followed a redirect, which no client of a provider should."""
        entry = self._note(request, "redirected", OPENAI)
        entry.end(COMPLETED)
        return web.json_response({"followed": True})


def _understood(endpoint: Endpoint, body: dict[str, Any]) -> Ask:
    try:
        return endpoint.read(body)
    except (AttributeError, KeyError, TypeError) as error:
        # Bodies come in every shape and the readers check what clients get wrong in practice. A shape they
        # did not foresee is still the client's mistake, as it would be with a provider.
        _log.info("A request could not be understood: %r", error)
        raise Refusal(400, "The request body has an unexpected shape.") from error


def _bill(entry: Entry, exchange: Exchange, endpoint: Endpoint) -> None:
    """From here on the provider has begun to work, and is paid for what it produces."""
    behaviour = exchange.behaviour
    entry.response_id = exchange.response_id
    entry.served_model = exchange.model
    entry.service_tier = exchange.service_tier
    entry.billed = endpoint.is_billed
    entry.usage = exchange.answer.usage
    entry.override = behaviour.usage
    if not exchange.ask.stream:
        entry.produced = entry.usage.output
    if behaviour.usage or behaviour.reported_usage or behaviour.negative_usage:
        entry.reported = exchange.reported()


async def _before_answer(request: web.Request, behaviour: Behaviour) -> None:
    await delivery.sleep_ms(behaviour.latency_ms)
    if behaviour.abort:
        await delivery.reset(request)
    if behaviour.hang:
        await delivery.hang()


async def _read_body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise Refusal(
            400,
            f"Unsupported content type: '{request.content_type}'. "
            "This API method only accepts 'application/json' requests.",
            code="unsupported_content_type",
        )
    try:
        body = orjson.loads(await request.read())
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(413) from error
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "We could not parse the JSON body of your request.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The request body is not a JSON object.")
    return body


def build(simulator: Simulator) -> web.Application:
    """Return the application that serves a simulator's model endpoints."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    for endpoint in ENDPOINTS:
        app.router.add_post(endpoint.path, simulator.model_handler(endpoint))
    app.router.add_get("/v1/models", simulator.list_models)
    app.router.add_get("/v1/models/{model}", simulator.list_models)
    app.router.add_route("*", "/_redirected", simulator.redirected)
    return app
