"""What tests talk to: `/_faults`, `/_served`, `/_reset`, and the health of the process."""

from typing import Any, Final

import orjson
from aiohttp import web

from deploy.local.model_simulator.answer import PrefixCache
from deploy.local.model_simulator.faults import BadRule
from deploy.local.model_simulator.server import Simulator, build

_SERVED_FILTERS: Final = (
    "model",
    "user",
    "dialect",
    "endpoint",
    "client_request_id",
    "request_id",
    "response_id",
)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


class Control:
    """The endpoints that steer a simulator and read its log. They need no key: it only listens locally."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add one rule, or a list of rules, and return them with their ids."""
        try:
            added = self._simulator.faults.add(orjson.loads(await request.read()))
        except (BadRule, ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"rules": [rule.described() for rule in added]}, 201)

    async def list_faults(self, request: web.Request) -> web.Response:
        """List the rules and how often each was applied."""
        return _json({"rules": [rule.described() for rule in self._simulator.faults.rules()]})

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Forget every rule."""
        return _json({"cleared": self._simulator.faults.clear()})

    async def list_served(self, request: web.Request) -> web.Response:
        """List what was served, oldest first; see README.md for the filters."""
        query = request.query
        try:
            entries = self._simulator.served.select(
                since=query.get("since"),
                billed=query.get("billed", "true"),
                ended=query.get("ended"),
                limit=int(query["limit"]) if "limit" in query else None,
                **{name: query[name] for name in _SERVED_FILTERS if name in query},
            )
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json(
            {
                "served": [entry.described() for entry in entries],
                "last_seq": self._simulator.served.last_seq,
                "in_progress": self._simulator.served.in_progress(),
            }
        )

    async def clear_served(self, request: web.Request) -> web.Response:
        """Forget what was served; the numbering goes on."""
        return _json({"cleared": self._simulator.served.clear()})

    async def release(self, request: web.Request) -> web.Response:
        """Let the answers go that are held back."""
        self._simulator.release()
        return _json({"released": True})

    async def reset(self, request: web.Request) -> web.Response:
        """Forget rules, log and prompt cache, as if just started."""
        self._simulator.release()
        self._simulator.faults.clear()
        self._simulator.served.clear()
        self._simulator.prefixes = PrefixCache()
        return _json({"reset": True})

    async def health(self, request: web.Request) -> web.Response:
        """Say that the process answers."""
        return _json({"status": "ok"})


def application(simulator: Simulator) -> web.Application:
    """Return the whole server: model endpoints, controls, and a refusal for every other path."""
    app = build(simulator)
    control = Control(simulator)
    app.router.add_post("/_faults", control.add_faults)
    app.router.add_get("/_faults", control.list_faults)
    app.router.add_delete("/_faults", control.clear_faults)
    app.router.add_get("/_served", control.list_served)
    app.router.add_delete("/_served", control.clear_served)
    app.router.add_post("/_release", control.release)
    app.router.add_post("/_reset", control.reset)
    app.router.add_get("/health/live", control.health)
    app.router.add_get("/health/ready", control.health)
    app.router.add_route("*", "/{path:.*}", simulator.unknown_path)
    return app
