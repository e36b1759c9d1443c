"""Streams under a data boundary: each text of an answer a channel of its own, event by event, as clients see them.

Fed whole events, as meters and translators give them on. Events without text go through as they are; a delta goes on
with what of its text may be shown now, and what was held back comes with the event that ends its text, or before it.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final

import orjson
from django.conf import settings

from apps.ai_usage.event_stream import data_of, object_in
from apps.ai_usage.gateway.inspection import Inspection
from apps.ai_usage.normalise import Endpoint
from apps.governance.data_boundary.classes import Direction
from apps.governance.data_boundary.errors import Blocked
from apps.governance.data_boundary.inspecting import inspect_body
from apps.governance.data_boundary.streams import Channel

_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_CHAT_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")
_MESSAGE_TEXTS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}
_NOT_TEXT: Final = frozenset({"response.audio.delta", "response.image_generation_call.partial_image"})
_JSON_DELTAS: Final = frozenset(
    {"response.function_call_arguments.delta", "response.mcp_call_arguments.delta"}
)
Event = dict[str, Any]


class StreamInspector:
    """One stream's texts on their way to the client. `feed` raises Refusal where the policy stops the stream."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._channels: dict[Hashable, Channel] = {}
        self._is_off = False

    def feed(self, events: bytes) -> bytes:
        """Whole events in, in order; what may go on out."""
        if self._is_off or not events:
            return events
        said: list[bytes] = []
        position = 0
        try:
            for blank in _BLANK_LINE.finditer(events):
                said += self._event(events[position : blank.end()])
                position = blank.end()
            if position < len(events):
                said += self._event(events[position:])
        except Blocked as blocked:
            raise self._inspection.refused(blocked.classes, Direction.RESPONSE) from None
        except Exception as error:  # noqa: BLE001  (whatever a detector does, the policy has an answer)
            self._inspection.failed(error, Direction.RESPONSE)
            self._is_off = True
            said += [*self._rests(lambda channel: channel.unseen()), events[position:]]
        return b"".join(said)

    def finish(self) -> bytes:
        """What is still held back, where the stream ended without an end."""
        if self._is_off:
            return b""
        try:
            return b"".join(self._rests(Channel.finish))
        except Blocked as blocked:
            raise self._inspection.refused(blocked.classes, Direction.RESPONSE) from None

    def _event(self, event: bytes) -> Iterator[bytes]:
        data = data_of(event)
        if data.startswith(b"[DONE]"):
            yield from self._rests(Channel.finish)
            yield event
            return
        parsed = object_in(data)
        if parsed is None:
            yield event
            return
        yield from self._say(event, parsed)

    def _say(self, event: bytes, parsed: Event) -> Iterator[bytes]:
        raise NotImplementedError

    def _rests(self, take: Callable[[Channel], str]) -> Iterator[bytes]:
        """What all channels still hold, as events, and no channel any more."""
        channels, self._channels = self._channels, {}
        for key, channel in channels.items():
            rest = take(channel)
            if rest:
                yield self._delta(key, rest)

    def _delta(self, key: Any, text: str) -> bytes:
        raise NotImplementedError

    def _feed(self, key: Hashable, text: str, *, is_json: bool = False) -> str:
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(
                self._inspection.boundary,
                self._inspection.redactor,
                settings.DATA_BOUNDARY_WINDOW,
                is_json=is_json,
            )
        return channel.feed(text)

    def _rest(self, key: Hashable) -> str:
        channel = self._channels.pop(key, None)
        return channel.finish() if channel is not None else ""

    def _whole(self, parsed: Event) -> bool:
        """Inspect an event that says things whole. What its deltas said before is not counted again."""
        redactor = self._inspection.redactor
        before = redactor.found[Direction.RESPONSE]
        again = redactor.found[Direction.RESPONSE] = Counter()
        deadline = time.monotonic() + settings.DATA_BOUNDARY_TIMEOUT_MS / 1000
        try:
            return inspect_body(
                parsed, self._inspection.boundary, redactor, Direction.RESPONSE, deadline=deadline
            )
        finally:
            redactor.found[Direction.RESPONSE] = before | again


class ChatStream(StreamInspector):
    """Chunks of a chat completion: a channel for each text of each choice, and for each tool call's arguments."""

    def __init__(self, inspection: Inspection) -> None:
        super().__init__(inspection)
        self._head: Event = {}

    def _say(self, event: bytes, parsed: Event) -> Iterator[bytes]:
        choices = parsed.get("choices")
        if not isinstance(choices, list) or not choices:
            if "error" in parsed:
                yield from self._rests(Channel.finish)
            yield _data(parsed) if self._whole(parsed) else event
            return
        self._head = {name: parsed.get(name) for name in ("id", "object", "created", "model")}
        changed = False
        is_bare = len(choices) == 1 and not parsed.get("usage")
        for choice in choices:
            if isinstance(choice, dict):
                touched, said_something = self._choice(choice)
                changed |= touched
                is_bare &= touched and not said_something
        if changed and is_bare:
            return
        yield _data(parsed) if changed else event

    def _choice(self, choice: Event) -> tuple[bool, bool]:
        """Whether the choice was changed, and whether it still says anything."""
        number = choice.get("index", 0)
        delta = choice.get("delta")
        ends = bool(choice.get("finish_reason"))
        changed, says = False, ends
        if choice.get("logprobs") is not None:
            choice["logprobs"], changed = None, True
        if not isinstance(delta, dict):
            delta = choice["delta"] = {}
        for name, value in delta.items():
            if name in _CHAT_TEXTS and isinstance(value, str) and value:
                shown = self._feed((number, name), value)
                changed |= shown != value
                says |= bool(shown)
                delta[name] = shown
            elif name not in ("tool_calls", "function_call") and value:
                says = True
        for call, key, value in self._arguments(number, delta):
            shown = self._feed(key, value, is_json=True)
            function = call.get("function", call)
            changed |= shown != value
            says |= bool(shown or call.get("id") or function.get("name"))
            function["arguments"] = shown
        if ends:
            for key in [key for key in self._channels if isinstance(key, tuple) and key[0] == number]:
                rest = self._rest(key)
                if rest:
                    _add(delta, key, rest)
                    changed = True
        return changed, says

    @staticmethod
    def _arguments(number: Any, delta: Event) -> Iterator[tuple[Event, tuple[Any, ...], str]]:
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            value = function.get("arguments") if isinstance(function, dict) else None
            if isinstance(value, str) and value:
                yield call, (number, "tool_calls", call.get("index", 0)), value
        call = delta.get("function_call")
        if isinstance(call, dict) and isinstance(call.get("arguments"), str) and call["arguments"]:
            yield call, (number, "function_call"), call["arguments"]

    def _delta(self, key: Any, text: str) -> bytes:
        delta: Event = {}
        _add(delta, key, text)
        choice = {"index": key[0], "delta": delta, "logprobs": None, "finish_reason": None}
        return _data(self._head | {"choices": [choice]})


def _add(delta: Event, key: tuple[Any, ...], text: str) -> None:
    """Put the rest of a text into a chunk, after what it says of it already."""
    name = key[1]
    if name == "tool_calls":
        calls = delta.setdefault("tool_calls", [])
        for call in calls:
            if (
                isinstance(call, dict)
                and call.get("index", 0) == key[2]
                and isinstance(call.get("function"), dict)
            ):
                call["function"]["arguments"] = (call["function"].get("arguments") or "") + text
                return
        calls.append({"index": key[2], "function": {"arguments": text}})
    elif name == "function_call":
        call = delta.setdefault("function_call", {})
        call["arguments"] = (call.get("arguments") or "") + text
    else:
        delta[name] = (delta.get(name) or "") + text


class MessageStream(StreamInspector):
    """A message's events: a channel for each block."""

    def _say(self, event: bytes, parsed: Event) -> Iterator[bytes]:
        kind = parsed.get("type")
        delta = parsed.get("delta")
        if kind == "content_block_delta" and isinstance(delta, dict):
            name = _MESSAGE_TEXTS.get(str(delta.get("type")))
            if name is not None and isinstance(value := delta.get(name), str) and value:
                key = (parsed.get("index"), delta["type"])
                shown = self._feed(key, value, is_json=name == "partial_json")
                if shown == value:
                    yield event
                elif shown:
                    delta[name] = shown
                    yield _named("content_block_delta", parsed)
                return
            if delta.get("type") == "signature_delta":
                yield event
                return
        if kind == "content_block_stop":
            for key in [
                key for key in self._channels if isinstance(key, tuple) and key[0] == parsed.get("index")
            ]:
                rest = self._rest(key)
                if rest:
                    yield self._delta(key, rest)
        elif kind in ("message_delta", "message_stop", "error"):
            yield from self._rests(Channel.finish)
        yield _named(str(kind), parsed) if self._whole(parsed) else event

    def _delta(self, key: Any, text: str) -> bytes:
        index, kind = key
        delta = {"type": kind, _MESSAGE_TEXTS[kind]: text}
        return _named("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})


class ResponseStream(StreamInspector):
    """Events of the Responses API: a channel for each text that has deltas, and everything whole when it is done."""

    def __init__(self, inspection: Inspection) -> None:
        super().__init__(inspection)
        self._last: dict[Hashable, Event] = {}
        self._number: int | None = None

    def _say(self, event: bytes, parsed: Event) -> Iterator[bytes]:
        kind = str(parsed.get("type"))
        value = parsed.get("delta")
        if kind.endswith(".delta") and isinstance(value, str) and kind not in _NOT_TEXT:
            key = _place(kind.removesuffix(".delta"), parsed)
            shown = self._feed(key, value, is_json=kind in _JSON_DELTAS) if value else ""
            self._last[key] = parsed
            changed = shown != value
            if parsed.get("logprobs"):
                parsed["logprobs"], changed = [], True
            if not shown and value:
                return
            parsed["delta"] = shown
            yield self._numbered(event, parsed, changed)
            return
        if kind.endswith(".done"):
            key = _place(kind.removesuffix(".done"), parsed)
            rest = self._rest(key)
            if rest:
                yield self._delta(key, rest)
            self._last.pop(key, None)
        elif kind in ("response.completed", "response.incomplete", "response.failed", "error"):
            yield from self._rests(Channel.finish)
        changed = self._whole(parsed)
        if parsed.get("logprobs"):
            parsed["logprobs"], changed = [], True
        yield self._numbered(event, parsed, changed)

    def _numbered(self, event: bytes, parsed: Event, changed: bool) -> bytes:
        """The event under the next number: with some left out and some put in, the provider's own would jump."""
        number = parsed.get("sequence_number")
        if type(number) is int:
            if self._number is None:
                self._number = number
            if number != self._number:
                parsed["sequence_number"], changed = self._number, True
            self._number += 1
        return _named(str(parsed.get("type")), parsed) if changed else event

    def _delta(self, key: Any, text: str) -> bytes:
        return self._numbered(b"", self._last.get(key, {}) | {"delta": text}, True)


def _place(base: str, parsed: Event) -> tuple[Any, ...]:
    return (
        base,
        parsed.get("item_id"),
        parsed.get("output_index"),
        parsed.get("content_index"),
        parsed.get("summary_index"),
    )


def inspector_for(inspection: Inspection, endpoint: Endpoint) -> StreamInspector:
    """What inspects the stream of an endpoint."""
    if endpoint is Endpoint.MESSAGES:
        return MessageStream(inspection)
    return ResponseStream(inspection) if endpoint is Endpoint.RESPONSES else ChatStream(inspection)


def _data(document: Event) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


def _named(kind: str, document: Event) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"
