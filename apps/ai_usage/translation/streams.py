"""Streams said in the other dialect, event by event, in the order that its clients expect."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from apps.ai_usage.event_stream import data_of, name_of, object_in
from apps.ai_usage.translation.answers import (
    finish_of,
    stop_of,
    tier_of_openai,
    usage_of_chat,
    usage_of_message,
)

_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class StreamTranslator:
    """Fed whole events of one dialect, in order; returns the bytes to send in the other."""

    def feed(self, events: bytes) -> bytes:
        """Say some events, or none yet."""
        said: list[bytes] = []
        for event in _BLANK_LINE.split(events):
            data = data_of(event)
            if data.startswith(b"[DONE]"):
                said += self._done()
            elif (parsed := object_in(data)) is not None:
                said += self._say(parsed.get("type") or name_of(event), parsed)
        return b"".join(said)

    def _done(self) -> Iterator[bytes]:
        return iter(())

    def _say(self, kind: object, event: dict[str, Any]) -> Iterator[bytes]:
        raise NotImplementedError


class ChatFromMessage(StreamTranslator):
    """A message's events as chunks of a chat completion."""

    def __init__(self, *, include_usage: bool, created: int) -> None:
        self._include_usage = include_usage
        self._created = created
        self._id = ""
        self._model: Any = None
        self._tier: str | None = None
        self._usage: dict[str, Any] = {}
        self._finish = "stop"
        # Where each tool's block stands among the tool calls, and whether any of its arguments came.
        self._calls: dict[Any, int] = {}
        self._empty: set[Any] = set()

    def _say(self, kind: object, event: dict[str, Any]) -> Iterator[bytes]:
        say = _CHAT.get(str(kind))
        return say(self, event) if say else iter(())

    def _begin(self, event: dict[str, Any]) -> Iterator[bytes]:
        message = _inner(event, "message")
        self._id, self._model = f"chatcmpl-{message.get('id')}", message.get("model")
        usage = _inner(message, "usage")
        self._tier = tier_of_openai(usage.get("service_tier"))
        self._count(usage)
        yield self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _open(self, event: dict[str, Any]) -> Iterator[bytes]:
        block = _inner(event, "content_block")
        if block.get("type") == "text" and block.get("text"):
            yield self._chunk({"content": block["text"]})
        elif block.get("type") == "tool_use":
            number = self._calls[event.get("index")] = len(self._calls)
            self._empty.add(event.get("index"))
            function = {"name": block.get("name"), "arguments": ""}
            call = {"index": number, "id": block.get("id"), "type": "function", "function": function}
            yield self._chunk({"tool_calls": [call]})

    def _grow(self, event: dict[str, Any]) -> Iterator[bytes]:
        delta = _inner(event, "delta")
        if delta.get("type") == "text_delta":
            yield self._chunk({"content": delta.get("text")})
        elif delta.get("type") == "input_json_delta" and delta.get("partial_json"):
            self._empty.discard(event.get("index"))
            yield self._arguments(event, delta["partial_json"])

    def _close(self, event: dict[str, Any]) -> Iterator[bytes]:
        if event.get("index") in self._empty:
            # A tool without arguments gets no fragments there, and an empty object here.
            self._empty.discard(event.get("index"))
            yield self._arguments(event, "{}")

    def _conclude(self, event: dict[str, Any]) -> Iterator[bytes]:
        self._count(_inner(event, "usage"))
        if stop := _inner(event, "delta").get("stop_reason"):
            self._finish = finish_of(stop)
            yield self._chunk({}, finish=self._finish)

    def _end(self, event: dict[str, Any]) -> Iterator[bytes]:
        if self._include_usage:
            yield _data(self._head() | {"choices": [], "usage": usage_of_chat(self._usage)})
        yield b"data: [DONE]\n\n"

    def _fail(self, event: dict[str, Any]) -> Iterator[bytes]:
        error = _inner(event, "error")
        message = str(error.get("message") or "The provider failed.")
        yield _data(
            {"error": {"message": message, "type": "server_error", "param": None, "code": "provider_error"}}
        )

    def _arguments(self, event: dict[str, Any], fragment: str) -> bytes:
        call = {"index": self._calls.get(event.get("index"), 0), "function": {"arguments": fragment}}
        return self._chunk({"tool_calls": [call]})

    def _count(self, usage: dict[str, Any]) -> None:
        self._usage |= {name: value for name, value in usage.items() if value is not None}

    def _head(self) -> dict[str, Any]:
        head = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }
        return head | ({"service_tier": self._tier} if self._tier else {})

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._include_usage else {}
        return _data(self._head() | {"choices": [choice]} | usage)


_CHAT: dict[str, Callable[[ChatFromMessage, dict[str, Any]], Iterator[bytes]]] = {
    "message_start": ChatFromMessage._begin,
    "content_block_start": ChatFromMessage._open,
    "content_block_delta": ChatFromMessage._grow,
    "content_block_stop": ChatFromMessage._close,
    "message_delta": ChatFromMessage._conclude,
    "message_stop": ChatFromMessage._end,
    "error": ChatFromMessage._fail,
}


class MessageFromChat(StreamTranslator):
    """Chunks of a chat completion as a message's events.

    A message says its input at the start, a chat completion at the end. `input_estimate` stands in at the start;
    the last event has the provider's own count, which clients take over.
    """

    def __init__(self, *, input_estimate: int) -> None:
        self._estimate = input_estimate
        self._begun = False
        self._usage: dict[str, Any] | None = None
        self._stop = "end_turn"
        self._index = -1
        # What the open block is of: "text", the number of a tool call, or nothing.
        self._open: str | int | None = None
        self._seen: set[int] = set()
        self._failed = False

    def _say(self, kind: object, event: dict[str, Any]) -> Iterator[bytes]:
        if self._failed:
            return
        if error := event.get("error"):
            message = error.get("message") if isinstance(error, dict) else error
            yield self._failure(str(message or "The provider failed."))
            return
        if isinstance(usage := event.get("usage"), dict):
            self._usage = usage
        if not self._begun:
            yield self._start(event)
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                yield from self._choice(choice)

    def _choice(self, choice: dict[str, Any]) -> Iterator[bytes]:
        delta = _inner(choice, "delta")
        for name in ("content", "refusal"):
            text = delta.get(name)
            if isinstance(text, str) and text:
                if name == "refusal":
                    self._stop = "refusal"
                yield from self._switch("text", {"type": "text", "text": "", "citations": None})
                yield self._delta({"type": "text_delta", "text": text})
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                yield from self._call(call)
        if finish := choice.get("finish_reason"):
            self._stop = self._stop if self._stop == "refusal" else stop_of(finish)
            yield from self._shut()

    def _call(self, call: dict[str, Any]) -> Iterator[bytes]:
        number = call.get("index")
        number = number if isinstance(number, int) else 0
        function = _inner(call, "function")
        if number != self._open:
            if number in self._seen:
                yield self._failure("The provider mixed two tool calls, which this dialect cannot say.")
                return
            self._seen.add(number)
            block: dict[str, Any] = {
                "type": "tool_use",
                "id": call.get("id"),
                "name": function.get("name"),
                "input": {},
            }
            yield from self._switch(number, block)
        if fragment := function.get("arguments"):
            yield self._delta({"type": "input_json_delta", "partial_json": fragment})

    def _done(self) -> Iterator[bytes]:
        if not self._begun or self._failed:
            return
        yield from self._shut()
        usage = usage_of_message(self._usage) if self._usage is not None else {"output_tokens": 0}
        yield _event(
            "message_delta", {"delta": {"stop_reason": self._stop, "stop_sequence": None}, "usage": usage}
        )
        yield _event("message_stop", {})

    def _start(self, event: dict[str, Any]) -> bytes:
        self._begun = True
        if self._usage is not None:
            usage = usage_of_message(self._usage) | {"output_tokens": 0}
        else:
            usage = {"input_tokens": self._estimate, "output_tokens": 0}
        message: dict[str, Any] = {
            "id": f"msg_{event.get('id')}",
            "type": "message",
            "role": "assistant",
            "model": event.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return _event("message_start", {"message": message})

    def _switch(self, to: str | int, block: dict[str, Any]) -> Iterator[bytes]:
        if self._open == to:
            return
        yield from self._shut()
        self._open = to
        self._index += 1
        yield _event("content_block_start", {"index": self._index, "content_block": block})

    def _shut(self) -> Iterator[bytes]:
        if self._open is not None:
            self._open = None
            yield _event("content_block_stop", {"index": self._index})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _failure(self, message: str) -> bytes:
        self._failed = True
        return _event("error", {"error": {"type": "api_error", "message": message}})


def _inner(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _data(document: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


def _event(kind: str, members: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind} | members) + b"\n\n"
