"""Sending an answer: whole or as a stream, at its pace, in its pieces, and broken where a test wants it."""

import asyncio
import os
import random
import socket
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import cycle
from typing import Final

import orjson
from aiohttp import web

from deploy.local.model_simulator.behaviour import Behaviour
from deploy.local.model_simulator.dialects import ANTHROPIC, Refusal
from deploy.local.model_simulator.exchange import Exchange, Frame, event
from deploy.local.model_simulator.served import CUT, Entry

_FRAMES_BETWEEN_TURNS: Final = 16
_LINGER_NONE: Final = struct.pack("ii", 1, 0)
_MEGABYTE: Final = 1 << 20
_ENDLESS_PIECE: Final = b" " * 65_536


class Broken(Exception):
    """The connection was broken on purpose; there is nothing left to send."""


async def sleep_ms(milliseconds: float) -> None:
    """Wait, or do not even yield."""
    if milliseconds > 0:
        await asyncio.sleep(milliseconds / 1000)


async def hang() -> None:
    """Say nothing until the client goes away, which cancels the handler."""
    await asyncio.Event().wait()


async def reset(request: web.Request) -> None:
    """Break the connection with a TCP reset, after what was already written has left."""
    await asyncio.sleep(0.002)
    transport = request.transport
    if transport is not None and not transport.is_closing():
        # uvloop closes a socket politely even when told to abort; without lingering, close is a reset.
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        transport.abort()
    raise Broken


class Wire:
    """Writes a body's bytes under the faults that know nothing of what the bytes mean."""

    def __init__(self, request: web.Request, response: web.StreamResponse, behaviour: Behaviour) -> None:
        self._request = request
        self._response = response
        self._behaviour = behaviour
        self._sent = 0
        self._draw = random.Random(behaviour.split_seed)  # noqa: S311 - reproducible on purpose

    async def write(self, data: bytes) -> None:
        """Write these bytes, in pieces and up to the cut if so told."""
        behaviour = self._behaviour
        if behaviour.crlf:
            data = data.replace(b"\n", b"\r\n")
        limit = behaviour.cut_after_bytes
        is_cut = limit is not None and self._sent + len(data) > limit
        if is_cut and limit is not None:
            data = data[: limit - self._sent]
        self._sent += len(data)
        if behaviour.split_bytes or behaviour.slow_trickle_ms:
            for piece in self._pieces(data):
                await self._response.write(piece)
                await asyncio.sleep(behaviour.slow_trickle_ms / 1000)
        elif data:
            await self._response.write(data)
        if is_cut:
            await reset(self._request)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = max(self._behaviour.split_bytes, 1)
        start = 0
        while start < len(data):
            step = self._draw.randint(1, size) if self._behaviour.split_seed else size
            yield data[start : start + step]
            start += step


async def whole(
    request: web.Request, body: bytes, behaviour: Behaviour, entry: Entry, headers: dict[str, str]
) -> web.StreamResponse:
    """Send an answer that is not a stream; all of it was produced before its first byte."""
    if behaviour.invalid_json:
        body = body[: len(body) // 2]
    if not behaviour.shapes_delivery:
        entry.complete()
        return web.Response(body=body, headers=headers)
    if behaviour.gzip_bomb:
        body = _bomb(behaviour.gzip_bomb) + body
        headers = headers | {"content-encoding": "gzip"}

    response = web.StreamResponse(status=behaviour.told_status, headers=headers)
    if not behaviour.endless_body:
        response.content_length = len(body)
    await response.prepare(request)
    await sleep_ms(behaviour.first_byte_ms)
    wire = Wire(request, response, behaviour)
    if behaviour.endless_body:
        await wire.write(body[:-1])
        while True:
            await wire.write(_ENDLESS_PIECE)
            await asyncio.sleep(0)
    if behaviour.cut_after_chunks is not None or behaviour.close_after_chunks is not None:
        await wire.write(body[: len(body) // 2])
        await reset(request)
    if behaviour.hang_after_chunks is not None:
        await wire.write(body[: len(body) // 2])
        await hang()
    if behaviour.cut_after_bytes is None or behaviour.cut_after_bytes >= len(body):
        entry.complete()
    await wire.write(body)
    return response


def announce(request: web.Request, count: int) -> None:
    """Write interim answers before the real one: legal, and endless with some providers."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 103 Early Hints\r\nlink: </nowhere>\r\n\r\n" * count)


@lru_cache(maxsize=4)
def _bomb(megabytes: int) -> bytes:
    """Return a gzip member of blanks; a decoder goes on with whatever member follows."""
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * _MEGABYTE
    return b"".join([press.compress(blanks) for _ in range(megabytes)] + [press.flush()])


async def stream(
    request: web.Request, exchange: Exchange, frames: Iterator[Frame], entry: Entry, headers: dict[str, str]
) -> web.StreamResponse:
    """Send an answer as server-sent events, counting what was produced as it goes."""
    behaviour = exchange.behaviour
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await sleep_ms(behaviour.first_byte_ms)
    wire = Wire(request, response, behaviour)
    if behaviour.endless_body:
        frames = _endless(frames)
    if behaviour.endless_line:
        await wire.write(b"data: ")
        while True:
            await wire.write(_ENDLESS_PIECE)
            await asyncio.sleep(0)
    chunks = 0
    for number, frame in enumerate(frames, 1):
        if await _stops_here(request, wire, exchange, chunks):
            entry.end(CUT)
            return response
        if frame.is_final:
            entry.complete()
        data = frame.data
        if frame.is_chunk:
            if chunks:
                await sleep_ms(behaviour.between_chunks_ms)
            chunks += 1
            entry.chunks = chunks
            data = _spoilt(data, behaviour, is_first=chunks == 1)
        entry.produced += 0 if frame.is_final else frame.tokens
        await wire.write(data * 2 if frame.is_final and behaviour.duplicate_terminal else data)
        if number % _FRAMES_BETWEEN_TURNS == 0:
            await asyncio.sleep(0)
    entry.complete()
    return response


async def _stops_here(request: web.Request, wire: Wire, exchange: Exchange, chunks: int) -> bool:
    """Break off after this many chunks if so told, each way in its manner."""
    behaviour = exchange.behaviour
    if chunks == behaviour.cut_after_chunks:
        await reset(request)
    if chunks == behaviour.hang_after_chunks:
        await hang()
    if chunks == behaviour.mid_stream_error:
        await wire.write(_error_event(exchange))
        return True
    return chunks == behaviour.close_after_chunks


def _error_event(exchange: Exchange) -> bytes:
    behaviour = exchange.behaviour
    is_anthropic = exchange.ask.dialect == ANTHROPIC
    refusal = Refusal(
        529 if is_anthropic else 500,
        behaviour.error_message,
        type=behaviour.error_type,
        code=behaviour.error_code,
    )
    body = refusal.body(exchange.ask.dialect, exchange.response_id)
    if is_anthropic:
        return event(body, "error")
    if exchange.ask.endpoint == "responses":
        error = body["error"]
        told = {"type": "error", "code": error["code"] or error["type"], "message": error["message"]}
        return event(told | {"param": None, "sequence_number": 0}, "error")
    return event(body)


def _spoilt(data: bytes, behaviour: Behaviour, *, is_first: bool) -> bytes:
    """Return a chunk as a faulty provider sends it."""
    if behaviour.comments:
        data = b": keep-alive\n\n" + data
    if behaviour.invalid_json and is_first:
        data = data[: len(data) // 2] + b"\n\n"
    if behaviour.malformed_sse and is_first:
        data = b'\xff\xfe no event at all\n{"and":\n\ndata\n\n' + data
    return data


def _endless(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Return a stream that repeats its chunks for ever."""
    seen: list[Frame] = []
    for frame in frames:
        if seen and not frame.is_chunk:
            break
        if frame.is_chunk:
            seen.append(frame)
        yield frame
    yield from cycle(seen)


def json_body(value: object) -> bytes:
    """Return a body's JSON."""
    return orjson.dumps(value)
