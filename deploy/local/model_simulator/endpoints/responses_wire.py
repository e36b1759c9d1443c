"""OpenAI's answer to `POST /v1/responses`, whole and as a stream of typed events."""

import time
from collections.abc import Iterator
from typing import Any, Final

from deploy.local.model_simulator.answer import TEXT, Block
from deploy.local.model_simulator.endpoints.fields import obfuscation
from deploy.local.model_simulator.exchange import Exchange, Frame, event, new_id

_ECHOED: Final[dict[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def render(exchange: Exchange) -> dict[str, Any]:
    """Return the whole answer as one body."""
    return _finished(exchange, [_done(item) for item in _items(exchange)])


class _Item:
    """An output item and its identifiers, which the events of a stream repeat."""

    __slots__ = ("block", "call_id", "id", "reasoning")

    def __init__(self, block: Block | None, reasoning: int = 0) -> None:
        self.block = block
        self.reasoning = reasoning
        self.id = new_id("rs_" if block is None else "msg_" if block.kind == TEXT else "fc_")
        self.call_id = new_id("call_")


def _items(exchange: Exchange) -> list[_Item]:
    choice = exchange.answer.choices[0]
    thought = [_Item(None, choice.reasoning)] if choice.reasoning else []
    return thought + [_Item(block) for block in choice.blocks]


def _done(item: _Item) -> dict[str, Any]:
    if item.block is None:
        return {"id": item.id, "type": "reasoning", "summary": []}
    if item.block.kind == TEXT:
        content = [_part(item.block.text)]
        return {
            "id": item.id,
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
    return {
        "id": item.id,
        "type": "function_call",
        "status": "completed",
        "call_id": item.call_id,
        "name": item.block.tool,
        "arguments": item.block.text,
    }


def _opening(item: _Item) -> dict[str, Any]:
    opening = _done(item)
    if item.block is not None:
        opening["status"] = "in_progress"
        opening["content" if item.block.kind == TEXT else "arguments"] = [] if item.block.kind == TEXT else ""
    return opening


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _response(exchange: Exchange, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    body = exchange.ask.body
    return {
        "id": exchange.response_id,
        "object": "response",
        "created_at": exchange.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": exchange.model,
        "output": output,
        "service_tier": exchange.service_tier,
        "usage": None,
    } | {name: value if body.get(name) is None else body[name] for name, value in _ECHOED.items()}


def _finished(exchange: Exchange, output: list[dict[str, Any]]) -> dict[str, Any]:
    finish = exchange.answer.choices[0].finish
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish)
    response = _response(exchange, "completed" if reason is None else "incomplete", output)
    if reason is None:
        response["completed_at"] = int(time.time())
    else:
        response["incomplete_details"] = {"reason": reason}
    response["usage"] = exchange.reported()
    if exchange.behaviour.web_searches:
        response["tool_usage"] = {"web_search": {"num_requests": exchange.behaviour.web_searches}}
    return response


def frames(exchange: Exchange) -> Iterator[Frame]:
    """Return the stream, event by event."""
    events = _Events(exchange)
    yield events.make("response.created", {"response": _response(exchange, "in_progress", [])})
    yield events.make("response.in_progress", {"response": _response(exchange, "in_progress", [])})
    output = []
    for index, item in enumerate(_items(exchange)):
        yield from events.of_item(index, item)
        output.append(_done(item))
    finished = _finished(exchange, output)
    if exchange.behaviour.no_terminal:
        return
    kind = f"response.{finished['status']}"
    yield events.make(kind, {"response": finished}, is_final=True)
    if exchange.behaviour.duplicate_usage:
        yield events.make(kind, {"response": finished}, is_final=True)


class _Events:
    """Numbers the events of one stream."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._number = -1

    def make(
        self,
        kind: str,
        payload: dict[str, Any],
        *,
        tokens: int = 0,
        is_chunk: bool = False,
        is_final: bool = False,
    ) -> Frame:
        self._number += 1
        data = event({"type": kind, "sequence_number": self._number, **payload}, kind)
        return Frame(data, tokens, is_chunk, is_final)

    def of_item(self, index: int, item: _Item) -> Iterator[Frame]:
        place: dict[str, Any] = {"output_index": index}
        yield self.make(
            "response.output_item.added", {**place, "item": _opening(item)}, tokens=item.reasoning
        )
        if item.block is not None:
            within = {"item_id": item.id, **place}
            if item.block.kind == TEXT:
                yield from self._of_text(within | {"content_index": 0}, item.block)
            else:
                yield from self._of_call(within, item.block)
        yield self.make("response.output_item.done", {**place, "item": _done(item)})

    def _of_text(self, within: dict[str, Any], block: Block) -> Iterator[Frame]:
        yield self.make("response.content_part.added", {**within, "part": _part("")})
        for text, size in self._exchange.grouped(block.pieces):
            delta = {**within, "delta": text, "logprobs": [], **self._padding(text)}
            yield self.make("response.output_text.delta", delta, tokens=size, is_chunk=True)
        yield self.make("response.output_text.done", {**within, "text": block.text, "logprobs": []})
        yield self.make("response.content_part.done", {**within, "part": _part(block.text)})

    def _of_call(self, within: dict[str, Any], block: Block) -> Iterator[Frame]:
        name = "response.function_call_arguments"
        head = block.head
        for text, size in self._exchange.grouped(block.pieces):
            delta = {**within, "delta": text, **self._padding(text)}
            yield self.make(f"{name}.delta", delta, tokens=size + head, is_chunk=True)
            head = 0  # the name was announced with the item and is counted with the first fragment
        yield self.make(f"{name}.done", {**within, "name": block.tool, "arguments": block.text})

    def _padding(self, text: str) -> dict[str, str]:
        return {"obfuscation": obfuscation(len(text))} if self._exchange.ask.include_obfuscation else {}
