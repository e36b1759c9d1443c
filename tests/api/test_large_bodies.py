"""Bodies larger than any view takes end at the door, however they come."""

import json
from typing import Any

import pytest

from config.bodies import BoundedBodies


async def reads_all(scope: Any, receive: Any, send: Any) -> None:
    """Reads as Django's handler does: everything first, then an answer; nothing when the client is gone."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def answer(
    pieces: list[bytes], *, path: str = "/api/v1/keys", declared: bytes | None = None
) -> tuple[int, Any]:
    waiting = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-length", declared)] if declared is not None else []
    await BoundedBodies(reads_all, most=100)({"path": path, "headers": headers}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("pieces", [[b""], [b"x" * 100], [b"x" * 50, b"x" * 50], [b"x"] * 100])
async def test_what_is_within_the_bound_is_passed_on(pieces: list[bytes]) -> None:
    assert await answer(pieces) == (200, str(len(b"".join(pieces))).encode())


@pytest.mark.parametrize("pieces", [[b"x" * 101], [b"x" * 60, b"x" * 60, b"x" * 10**6, b"x"], [b"x"] * 101])
async def test_what_is_sent_beyond_it_is_a_413(pieces: list[bytes]) -> None:
    status, body = await answer(pieces)

    assert status == 413
    assert json.loads(body)["code"] == "too_large"


async def test_what_is_declared_beyond_it_is_refused_when_it_was_sent() -> None:
    assert (await answer([b"x" * 101], declared=b"101"))[0] == 413
    assert (await answer([b"x" * 60, b"x" * 60], declared=b"120"))[0] == 413


async def test_what_is_declared_far_beyond_it_is_refused_before_a_byte_is_read() -> None:
    assert await answer([], declared=b"9" * 30, path="/keys/create/") == (
        413, b"The body is larger than 100 bytes.",
    )  # fmt: skip


@pytest.mark.parametrize("declared", [b"", b"x", b"-1", b"1e9", b"\xb2"])
async def test_a_length_that_is_none_is_not_believed_and_the_bytes_are_counted(declared: bytes) -> None:
    assert (await answer([b"x"], declared=declared))[0] == 200
    assert (await answer([b"x" * 101], declared=declared))[0] == 413
