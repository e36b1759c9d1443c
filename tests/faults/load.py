"""The clients of a run: they make the planned calls, leave where planned, and remember exactly what they were told."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.faults.plan import Planned

_PATHS = {
    "chat": "/v1/chat/completions",
    "translated": "/v1/chat/completions",
    "fallback": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
}

_BEFORE_AN_ANSWER = 0.08


@dataclass
class Told:
    """What one client sent and heard. `whole` where the answer's HTTP body came to its end."""

    planned: Planned
    user: str
    web: int
    life: int  # which process in a row it was that got the call
    tenant: int
    began: float
    ended: float = 0.0
    status: int | None = None
    call_id: str = ""
    code: str = ""
    whole: bool = False
    left: bool = False
    error: str = ""
    digest: str = ""
    is_repetition: bool = False


@dataclass
class Webs:
    """Where the web processes are, and which life each is in. Accidents change it, clients read it."""

    urls: list[str] = field(default_factory=lambda: ["", ""])
    lives: list[int] = field(default_factory=lambda: [0, 0])


class Load(threading.Thread):
    """All clients of a run, on an event loop of their own. `told` is complete when the thread has ended."""

    def __init__(
        self, seed: int, plan: list[Planned], tenants: list[Any], webs: Webs, *, clients: int
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.told: list[Told] = []
        self._seed, self._tenants, self._webs, self._clients = seed, tenants, webs, clients
        self._left: Iterator[Planned] = iter(plan)
        self._enough = threading.Event()

    def enough(self) -> None:
        """Begin no more calls."""
        self._enough.set()

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        timeout = aiohttp.ClientTimeout(total=90)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._client(session) for _ in range(self._clients)))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        for planned in self._left:
            if self._enough.is_set():
                return
            calls = [self.call(session, planned, planned.web)]
            if planned.repeated:
                calls.append(self.call(session, planned, 1 - planned.web, is_repetition=True))
            await asyncio.gather(*calls)

    async def call(
        self, session: aiohttp.ClientSession, planned: Planned, web: int, *, is_repetition: bool = False
    ) -> Told:
        """Make one call and note what came of it."""
        if is_repetition:
            await asyncio.sleep(0.02 * (planned.number % 20))
        told = Told(
            planned, planned.user(self._seed), web, self._webs.lives[web], planned.tenant, time.monotonic()
        )
        told.is_repetition = is_repetition
        self.told.append(told)
        key = self._tenants[planned.tenant]["keys"][planned.key]
        headers = {"authorization": f"Bearer {key['secret']}"}
        if planned.kind == "messages":
            headers["anthropic-version"] = "2023-06-01"
        if planned.idempotency_key:
            headers["idempotency-key"] = planned.idempotency_key
        patience = _BEFORE_AN_ANSWER if planned.leaves_after == 0 and not is_repetition else None
        try:
            async with (
                asyncio.timeout(patience),
                session.post(
                    self._webs.urls[web] + _PATHS[planned.kind],
                    json=body_of(planned, told.user),
                    headers=headers,
                ) as response,
            ):
                await _listen(response, planned, told, leaves=not is_repetition)
        except TimeoutError:
            told.left, told.error = patience is not None, "" if patience else "no answer within 90 s"
        except (aiohttp.ClientError, OSError) as error:
            told.error = f"{type(error).__name__}: {error}"[:200]
        told.ended = time.monotonic()
        if told.error:
            await asyncio.sleep(0.2)
        return told


async def _listen(response: aiohttp.ClientResponse, planned: Planned, told: Told, *, leaves: bool) -> None:
    told.status = response.status
    told.call_id = response.headers.get("x-lockstep-call-id", "")
    told.code = response.headers.get("x-lockstep-code", "")
    heard, pieces = hashlib.sha256(), 0
    async for chunk in response.content.iter_any():
        heard.update(chunk)
        pieces += 1
        if leaves and response.status == 200 and planned.leaves_after and pieces >= planned.leaves_after:
            told.left = True
            response.close()
            return
    told.whole, told.digest = True, heard.hexdigest()


def body_of(planned: Planned, user: str) -> dict[str, Any]:
    """The request's body."""
    text = f"Call number {planned.number}. " + "What do you think of the sea? " * (planned.number % 7)
    body: dict[str, Any] = {"model": planned.model}
    if planned.kind == "embeddings":
        return body | {"input": text, "user": user}
    if planned.stream:
        body["stream"] = True
    if planned.kind == "responses":
        return body | {"input": text, "max_output_tokens": planned.max_tokens, "user": user}
    body |= {"messages": [{"role": "user", "content": text}], "max_tokens": planned.max_tokens}
    if planned.kind == "messages":
        return body | {"metadata": {"user_id": user}}
    return body | {"user": user}
