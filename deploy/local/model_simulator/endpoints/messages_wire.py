"""Anthropic's answer to `POST /v1/messages`, whole and as a stream of named events."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

import orjson

from deploy.local.model_simulator.answer import TEXT, THINKING, Block
from deploy.local.model_simulator.exchange import Exchange, Frame, event, new_id

_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_MESSAGE_START_ONLY: Final = ("cache_creation", "service_tier", "inference_geo")


def render(exchange: Exchange) -> dict[str, Any]:
    """Return the whole answer as one body."""
    usage = exchange.reported()
    body = _message(exchange, [_rendered(block) for block in exchange.answer.choices[0].blocks])
    body |= _ending(exchange)
    if usage is not None:
        body["usage"] = usage
    return body


def _message(exchange: Exchange, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": exchange.response_id,
        "type": "message",
        "role": "assistant",
        "model": exchange.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _ending(exchange: Exchange) -> dict[str, Any]:
    choice = exchange.answer.choices[0]
    if choice.stop_sequence is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": choice.stop_sequence}
    return {"stop_reason": _STOP_REASONS.get(choice.finish, choice.finish), "stop_sequence": None}


def _rendered(block: Block) -> dict[str, Any]:
    if block.kind == TEXT:
        return {"type": "text", "text": block.text}
    if block.kind == THINKING:
        return {"type": "thinking", "thinking": block.text, "signature": _signature(block)}
    try:
        arguments = orjson.loads(block.text)
    except orjson.JSONDecodeError:
        arguments = {}  # max_tokens cut the arguments off; Anthropic then has no input to show
    return {"type": "tool_use", "id": new_id("toolu_"), "name": block.tool, "input": arguments}


def _signature(block: Block) -> str:
    return b64encode(f"signed:{len(block.pieces)}:{block.text[:48]}".encode()).decode()


def frames(exchange: Exchange) -> Iterator[Frame]:
    """Return the stream, event by event."""
    usage = exchange.reported()
    message = _message(exchange, [])
    if usage is not None:
        # The first count of output is small and final only in message_delta.
        message["usage"] = usage | {"output_tokens": min(1, usage["output_tokens"])}
        message["usage"].pop("output_tokens_details", None)
    yield _frame("message_start", {"message": message})
    for index, block in enumerate(exchange.answer.choices[0].blocks):
        yield from _block(exchange, index, block)
        if index == 0:
            yield _frame("ping", {})
    delta = _final("message_delta", {"delta": _ending(exchange)} | _final_usage(exchange, usage))
    yield delta
    if exchange.behaviour.duplicate_usage:
        yield delta
    if not exchange.behaviour.no_terminal:
        yield _final("message_stop", {})


def _final_usage(exchange: Exchange, usage: dict[str, Any] | None) -> dict[str, Any]:
    if usage is None:
        return {}
    if exchange.behaviour.sparse_usage:
        return {"usage": {"output_tokens": usage["output_tokens"]}}
    return {"usage": {name: value for name, value in usage.items() if name not in _MESSAGE_START_ONLY}}


def _block(exchange: Exchange, index: int, block: Block) -> Iterator[Frame]:
    opening: dict[str, Any]
    if block.kind == TEXT:
        opening, name, field = {"type": "text", "text": ""}, "text_delta", "text"
    elif block.kind == THINKING:
        opening = {"type": "thinking", "thinking": "", "signature": ""}
        name, field = "thinking_delta", "thinking"
    else:
        opening = {"type": "tool_use", "id": new_id("toolu_"), "name": block.tool, "input": {}}
        name, field = "input_json_delta", "partial_json"
    yield _frame(
        "content_block_start",
        {"index": index, "content_block": opening},
        tokens=block.head,
        is_chunk=block.head > 0,
    )
    for text, size in exchange.grouped(block.pieces):
        delta = {"type": name, field: text}
        yield _frame("content_block_delta", {"index": index, "delta": delta}, tokens=size, is_chunk=True)
    if block.kind == THINKING:
        delta = {"type": "signature_delta", "signature": _signature(block)}
        yield _frame("content_block_delta", {"index": index, "delta": delta})
    yield _frame("content_block_stop", {"index": index})


def _frame(kind: str, payload: dict[str, Any], *, tokens: int = 0, is_chunk: bool = False) -> Frame:
    return Frame(event({"type": kind, **payload}, kind), tokens, is_chunk)


def _final(kind: str, payload: dict[str, Any]) -> Frame:
    return Frame(event({"type": kind, **payload}, kind), is_final=True)
