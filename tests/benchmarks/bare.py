"""The yardstick: an ASGI application that passes requests on and does nothing else. Its caller says where to."""

from typing import Any

import aiohttp

_session: aiohttp.ClientSession | None = None


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Pass one request to the address in its header `x-upstream`, and the answer back."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["path"] == "/health/live":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    address = next(value for name, value in scope["headers"] if name == b"x-upstream").decode()
    assert _session is not None
    async with _session.post(address, data=body, headers={"content-type": "application/json"}) as answer:
        kind = answer.headers["content-type"].encode()
        headers = [(b"content-type", kind)]
        if kind.startswith(b"text/event-stream"):
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            while chunk := await answer.content.readany():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        whole = await answer.read()
    headers.append((b"content-length", str(len(whole)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": whole})


async def _lifespan(receive: Any, send: Any) -> None:
    global _session
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
            await send({"type": "lifespan.startup.complete"})
        else:
            if _session is not None:
                await _session.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
