"""A bound on request bodies in front of Django, whose ASGI handler writes any amount to disk before a view runs."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# How many times the bound a client may send, all thrown away, before it is cut off.
_PATIENCE = 4
Application = Callable[..., Awaitable[None]]


class BoundedBodies:
    """Answers 413 to a body larger than `most` bytes, declared or sent in pieces without saying."""

    def __init__(self, application: Application, *, most: int) -> None:
        self.application = application
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as long as it stays within the bound."""
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and int(declared) > self.most:
            await self._drain(receive, int(declared))
            await self._refuse(scope, send)
            return
        size, ended, answered = 0, False, False

        async def receive_within() -> dict[str, Any]:
            nonlocal size, ended
            message = await receive()
            size += len(message.get("body", b""))
            ended = not message.get("more_body")
            # Django gives up on a client that is gone and answers nothing.
            return {"type": "http.disconnect"} if size > self.most else message

        async def send_and_note(message: dict[str, Any]) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await self.application(scope, receive_within, send_and_note)
        if size > self.most and not answered:
            if not ended:
                await self._drain(receive, size)
            await self._refuse(scope, send)

    async def _drain(self, receive: Receive, known: int) -> None:
        """Let a client that is a little over finish: one that still sends when we close never reads why."""
        left = self.most * _PATIENCE - known
        while left > 0:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                return
            left -= len(message["body"])

    async def _refuse(self, scope: Scope, send: Send) -> None:
        detail = f"The body is larger than {self.most} bytes."
        if scope["path"].startswith("/api/"):
            kind = b"application/problem+json"
            body = orjson.dumps(
                {
                    "type": "urn:lockstep:problem:too_large",
                    "title": "Too large",
                    "status": 413,
                    "detail": detail,
                    "code": "too_large",
                }
            )
        else:
            kind, body = b"text/plain; charset=utf-8", detail.encode()
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
