"""How tests steer the double and read it: faults, time, webhooks, requests."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from deploy.local.stripe_double.errors import Refusal
from deploy.local.stripe_double.server import Double, api
from deploy.local.stripe_double.webhooks import Endpoint

Handler = Callable[[web.Request], Awaitable[web.Response]]


def application(double: Double, endpoints: list[Endpoint]) -> web.Application:
    """The whole server."""
    app = api(double, endpoints)
    control = _Control(double)
    for method, path, handler in (
        ("GET", "/health/live", control.live),
        ("GET", "/_faults", control.faults),
        ("POST", "/_faults", control.add_fault),
        ("DELETE", "/_faults", control.clear_faults),
        ("POST", "/_clock", control.advance),
        ("GET", "/_webhooks", control.deliveries),
        ("POST", "/_webhooks", control.add_endpoint),
        ("POST", "/_webhooks/release", control.release),
        ("POST", "/_webhooks/redeliver", control.redeliver),
        ("GET", "/_requests", control.requests),
        ("POST", "/_pay", control.pay),
        ("POST", "/_reset", control.reset),
    ):
        app.router.add_route(method, path, handler)
    return app


class _Control:
    def __init__(self, double: Double) -> None:
        self.double = double

    async def live(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def faults(self, _: web.Request) -> web.Response:
        rules = [
            {"effect": rule.effect, "match": rule.match, "times": rule.times, "applied": rule.applied}
            for rule in self.double.faults.rules
        ]
        return web.json_response({"rules": rules})

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            self.double.faults.add(await _json(request))
        except (ValueError, TypeError) as wrong:
            return web.json_response({"error": str(wrong)}, status=400)
        return await self.faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self.double.faults.rules.clear()
        return await self.faults(request)

    async def advance(self, request: web.Request) -> web.Response:
        try:
            self.double.clock.advance(float((await _json(request))["advance"]))
        except (KeyError, TypeError, ValueError) as wrong:
            return web.json_response({"error": f'Send {{"advance": seconds}}: {wrong}'}, status=400)
        return web.json_response({"now": self.double.clock.now()})

    async def deliveries(self, _: web.Request) -> web.Response:
        await self.double.webhooks.settled()
        return web.json_response({"deliveries": [one.as_dict() for one in self.double.webhooks.deliveries]})

    async def add_endpoint(self, request: web.Request) -> web.Response:
        given = await _json(request)
        self.double.webhooks.endpoints[:] = [Endpoint(given["url"], given["secret"])]
        return web.json_response({"url": given["url"]})

    async def release(self, _: web.Request) -> web.Response:
        return web.json_response({"released": self.double.webhooks.release()})

    async def redeliver(self, request: web.Request) -> web.Response:
        try:
            event = self.double.store.get("event", (await _json(request))["event"])
        except Refusal as refused:
            return web.json_response(refused.body, status=refused.status)
        self.double.webhooks.announce(event)
        return web.json_response({"redelivered": event["id"]})

    async def requests(self, _: web.Request) -> web.Response:
        return web.json_response({"requests": self.double.requests})

    async def pay(self, request: web.Request) -> web.Response:
        """The customer pays on Stripe's page, or tries to: {"invoice": "in_…", "declined": false}."""
        given = await _json(request)
        try:
            paid = self.double.invoices.pay(
                given["invoice"], {}, None, decline=bool(given.get("declined", False))
            )
        except Refusal as refused:
            return web.json_response(refused.body, status=refused.status)
        return web.json_response({"status": paid["status"]})

    async def reset(self, _: web.Request) -> web.Response:
        self.double.reset()
        return web.json_response({})


async def _json(request: web.Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await request.text() or "{}")
    return found
