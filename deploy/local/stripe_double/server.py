"""The HTTP server: who may ask, idempotency keys, parameter names, faults, and the way to each object."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from deploy.local.stripe_double import forms, parameters
from deploy.local.stripe_double.clock import Clock
from deploy.local.stripe_double.customers import Customers, account
from deploy.local.stripe_double.errors import Refusal, invalid
from deploy.local.stripe_double.faults import Faults
from deploy.local.stripe_double.invoices import Invoices
from deploy.local.stripe_double.store import Store, Thing
from deploy.local.stripe_double.webhooks import Endpoint, Webhooks

KEY_LIFETIME = 86_400
_FAULTS = ("status", "timeout_before_commit")
_MESSAGES = {409: "lock_timeout", 429: "rate_limit"}


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was answered under an idempotency key."""

    fingerprint: str
    status: int
    body: Thing
    at: int


class Double:
    """Everything one double knows."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.webhooks = Webhooks(self.faults)
        self.reset()

    def reset(self) -> None:
        """Forget everything but where webhooks go."""
        self.clock.reset()
        self.faults.rules.clear()
        self.webhooks.forget()
        self.store = Store(self.clock, self.webhooks.announce)
        self.customers = Customers(self.store)
        self.invoices = Invoices(self.store)
        self.keys: dict[str, Remembered] = {}
        self.requests: list[dict[str, Any]] = []


Action = Callable[[Double, dict[str, str], Thing, str | None], Thing]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: its method and path, the type of its parameters, and what it does."""

    method: str
    path: str
    parameters: str
    act: Action


def _pay(double: Double, at: dict[str, str], asked: Thing, key: str | None) -> Thing:
    declined = double.faults.take(("decline",), method="POST", path=f"/v1/invoices/{at['id']}/pay")
    return double.invoices.pay(at["id"], asked, key, decline=declined is not None)


ROUTES = (
    Route("GET", "/v1/account", "AccountRetrieveParams", lambda d, at, asked, key: account(d.clock.now())),
    Route(
        "POST",
        "/v1/customers",
        "CustomerCreateParams",
        lambda d, at, asked, key: d.customers.create(asked, key),
    ),
    Route("GET", "/v1/customers", "CustomerListParams", lambda d, at, asked, key: d.customers.page(asked)),
    Route(
        "GET",
        "/v1/customers/search",
        "CustomerSearchParams",
        lambda d, at, asked, key: d.customers.search(asked),
    ),
    Route(
        "GET",
        "/v1/customers/{id}",
        "CustomerRetrieveParams",
        lambda d, at, asked, key: d.store.get("customer", at["id"]),
    ),
    Route(
        "POST",
        "/v1/customers/{id}",
        "CustomerModifyParams",
        lambda d, at, asked, key: d.customers.update(at["id"], asked, key),
    ),
    Route(
        "DELETE",
        "/v1/customers/{id}",
        "CustomerDeleteParams",
        lambda d, at, asked, key: d.customers.delete(at["id"], key),
    ),
    Route(
        "POST", "/v1/invoices", "InvoiceCreateParams", lambda d, at, asked, key: d.invoices.create(asked, key)
    ),
    Route("GET", "/v1/invoices", "InvoiceListParams", lambda d, at, asked, key: d.invoices.page(asked)),
    Route(
        "GET",
        "/v1/invoices/{id}",
        "InvoiceRetrieveParams",
        lambda d, at, asked, key: d.store.get("invoice", at["id"]),
    ),
    Route(
        "POST",
        "/v1/invoices/{id}",
        "InvoiceModifyParams",
        lambda d, at, asked, key: d.invoices.update(at["id"], asked, key),
    ),
    Route(
        "DELETE",
        "/v1/invoices/{id}",
        "InvoiceDeleteParams",
        lambda d, at, asked, key: d.invoices.delete(at["id"], key),
    ),
    Route(
        "GET",
        "/v1/invoices/{id}/lines",
        "InvoiceLineItemListParams",
        lambda d, at, asked, key: d.invoices.lines(at["id"], asked),
    ),
    Route(
        "POST",
        "/v1/invoices/{id}/finalize",
        "InvoiceFinalizeInvoiceParams",
        lambda d, at, asked, key: d.invoices.finalize(at["id"], asked, key),
    ),
    Route("POST", "/v1/invoices/{id}/pay", "InvoicePayParams", _pay),
    Route(
        "POST",
        "/v1/invoices/{id}/void",
        "InvoiceVoidInvoiceParams",
        lambda d, at, asked, key: d.invoices.void(at["id"], key),
    ),
    Route(
        "POST",
        "/v1/invoices/{id}/mark_uncollectible",
        "InvoiceMarkUncollectibleParams",
        lambda d, at, asked, key: d.invoices.mark_uncollectible(at["id"], key),
    ),
    Route(
        "POST",
        "/v1/invoices/{id}/send",
        "InvoiceSendInvoiceParams",
        lambda d, at, asked, key: d.invoices.send(at["id"], key),
    ),
    Route(
        "POST",
        "/v1/invoiceitems",
        "InvoiceItemCreateParams",
        lambda d, at, asked, key: d.invoices.create_item(asked, key),
    ),
    Route(
        "GET",
        "/v1/invoiceitems",
        "InvoiceItemListParams",
        lambda d, at, asked, key: d.invoices.list_items(asked),
    ),
    Route(
        "GET",
        "/v1/invoiceitems/{id}",
        "InvoiceItemRetrieveParams",
        lambda d, at, asked, key: d.store.get("invoiceitem", at["id"]),
    ),
    Route(
        "DELETE",
        "/v1/invoiceitems/{id}",
        "InvoiceItemDeleteParams",
        lambda d, at, asked, key: d.invoices.delete_item(at["id"], key),
    ),
    Route("GET", "/v1/events", "EventListParams", lambda d, at, asked, key: _events(d, asked)),
    Route(
        "GET",
        "/v1/events/{id}",
        "EventRetrieveParams",
        lambda d, at, asked, key: d.store.get("event", at["id"]),
    ),
)


def _events(double: Double, asked: Thing) -> Thing:
    found = double.store.all("event")
    if kind := asked.get("type"):
        found = [one for one in found if one["type"] == kind]
    return double.store.page(found, "/v1/events", asked)


class HungUp(Exception):
    """The connection is cut instead of answered."""


async def answer(double: Double, route: Route, request: web.Request) -> web.StreamResponse:
    """One request to Stripe's API."""
    body = await request.text()
    path = request.path
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    double.requests.append({"method": request.method, "path": path, "key": key, "body": body})
    try:
        _check_caller(request)
        fault = double.faults.take(_FAULTS, method=request.method, path=path)
        if fault is not None:
            if fault.effect == "timeout_before_commit":
                raise HungUp
            raise Refusal(
                fault.status,
                _kind(fault.status),
                "This went wrong on purpose.",
                code=_MESSAGES.get(fault.status, ""),
            )
        asked = forms.decode(body if request.method == "POST" else request.query_string)
        status, found, replayed = _once(double, route, dict(request.match_info), asked, key, path)
        if double.faults.take(("timeout_after_commit",), method=request.method, path=path):
            raise HungUp
    except HungUp:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    except forms.Malformed as wrong:
        status, found, replayed = 400, invalid(f"Invalid parameter name: {wrong}").body, False
    except Refusal as refused:
        status, found, replayed = refused.status, refused.body, False
    headers = {
        "Request-Id": double.store.new_id("req"),
        "Stripe-Version": request.headers.get("Stripe-Version", ""),
    }
    if key:
        headers["Idempotency-Key"] = key
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if status == 429:
        headers["Retry-After"] = "1"
    return web.json_response(found, status=status, headers=headers)


def _once(
    double: Double, route: Route, at: dict[str, str], asked: Thing, key: str | None, path: str
) -> tuple[int, Thing, bool]:
    """Do it, or repeat the answer that the same key got before."""
    unknown = list(parameters.unknown(route.parameters, asked))
    if unknown:
        raise invalid(f"Received unknown parameter: {unknown[0]}", code="parameter_unknown", param=unknown[0])
    fingerprint = hashlib.sha256(
        repr((route.method, path, sorted(asked.items(), key=str))).encode()
    ).hexdigest()
    known = double.keys.get(key) if key else None
    if known is not None and double.clock.now() - known.at < KEY_LIFETIME:
        if known.fingerprint != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first "
                "used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise Refusal(400, "idempotency_error", message)
        return known.status, known.body, True
    try:
        status, found = 200, route.act(double, at, asked, key)
    except Refusal as refused:
        status, found = refused.status, refused.body
    # A copy: later changes of the object are not part of the answer that was given.
    found = _frozen(found)
    if key:
        double.keys[key] = Remembered(fingerprint, status, found, double.clock.now())
    return status, found, False


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _frozen(item) for name, item in value.items()}
    return [_frozen(item) for item in value] if isinstance(value, list) else value


def _kind(status: int) -> str:
    return "rate_limit_error" if status == 429 else "idempotency_error" if status == 409 else "api_error"


def _check_caller(request: web.Request) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key.startswith(("sk_test_", "rk_test_")):
        message = "Invalid API Key provided. This double takes any secret test key."
        raise Refusal(401, "invalid_request_error", message)


def api(double: Double, endpoints: list[Endpoint]) -> web.Application:
    """Stripe's own endpoints; `control.application` adds the double's."""
    double.webhooks.endpoints += endpoints
    app = web.Application()
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _handler(double, route))

    async def deliver(_: web.Application) -> Any:
        task = asyncio.create_task(double.webhooks.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(deliver)
    return app


def _handler(double: Double, route: Route) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await answer(double, route, request)

    return handle
