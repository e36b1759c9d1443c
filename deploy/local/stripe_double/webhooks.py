"""Signed webhooks, delivered in order, repeated with growing pauses until somebody answers 2xx."""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from deploy.local.stripe_double.faults import Faults
from deploy.local.stripe_double.store import Thing

_PAUSES = (0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_log = logging.getLogger("lockstep.stripe_double")


@dataclass(slots=True)
class Endpoint:
    """Where webhooks go, and the secret that signs them."""

    url: str
    secret: str = field(repr=False)


@dataclass(slots=True)
class Delivery:
    """One try at delivering an event."""

    event: str
    type: str
    url: str
    status: int | None  # None: no answer

    def as_dict(self) -> dict[str, Any]:
        """For `GET /_webhooks`."""
        return {"event": self.event, "type": self.type, "url": self.url, "status": self.status}


def signature(secret: str, body: bytes, at: int) -> str:
    """Stripe-Signature as Stripe makes it: HMAC-SHA-256 over the time, a dot and the body."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhooks:
    """Delivers each event to each endpoint. Signatures carry the machine's time, since receivers compare
    with theirs."""

    def __init__(self, faults: Faults) -> None:
        self.endpoints: list[Endpoint] = []
        self.deliveries: list[Delivery] = []
        self._faults = faults
        self._held: list[Thing] = []
        self._queue: asyncio.Queue[Thing] = asyncio.Queue()
        self._again: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def announce(self, event: Thing) -> None:
        """Take an event in."""
        if self._faults.take(("drop",), event=event["type"]):
            return
        if self._faults.take(("hold",), event=event["type"]):
            self._held.append(event)
            return
        self._queue.put_nowait(event)
        if self._faults.take(("duplicate",), event=event["type"]):
            self._queue.put_nowait(event)

    def release(self) -> int:
        """Deliver what was held, newest first; how many that were."""
        held, self._held = self._held, []
        for event in reversed(held):
            self._queue.put_nowait(event)
        return len(held)

    async def run(self) -> None:
        """Deliver for ever."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            self._session = session
            while True:
                event = await self._queue.get()
                for endpoint in list(self.endpoints):
                    if not await self._deliver(event, endpoint):
                        task = asyncio.create_task(self._repeat(event, endpoint))
                        self._again.add(task)
                        task.add_done_callback(self._again.discard)
                self._queue.task_done()

    async def settled(self) -> None:
        """Until every event has been tried once."""
        await self._queue.join()

    def forget(self) -> None:
        """Drop what waits and what was noted."""
        for task in self._again:
            task.cancel()
        self._held.clear()
        self.deliveries.clear()

    async def _repeat(self, event: Thing, endpoint: Endpoint) -> None:
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            if endpoint not in self.endpoints or await self._deliver(event, endpoint):
                return
        _log.warning("event %s was given up", event["id"])

    async def _deliver(self, event: Thing, endpoint: Endpoint) -> bool:
        assert self._session is not None
        body = json.dumps(event).encode()
        stale = self._faults.take(("stale",), event=event["type"])
        at = int(time.time()) - (600 if stale else 0)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(endpoint.secret, body, at),
            "User-Agent": "Stripe/1.0 (lockstep double)",
        }
        status: int | None = None
        try:
            async with self._session.post(endpoint.url, data=body, headers=headers) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as away:
            _log.info("webhook %s not delivered: %s", event["id"], away)
        self.deliveries.append(Delivery(event["id"], event["type"], endpoint.url, status))
        return status is not None and 200 <= status < 300
