"""Meters for both dialects' streams: bytes go on as they came, and what they say of usage is remembered.

A meter is fed whatever arrives, split anywhere, and answers with what may be forwarded now. It keeps back two
things: an event that is not complete yet, and the event that ends the stream, because the usage must be
committed before the client may see the end. Events that cannot matter are recognised by a search for bytes
and are never parsed.
"""

import re
from typing import Any, Final

from apps.ai_usage.answers import usage_of_response
from apps.ai_usage.bodies import without_member
from apps.ai_usage.event_stream import (
    EVENT_BOUND,
    TEXT_VALUE,
    StreamMeter,
    StreamTooLarge,
    name_of,
    object_in,
    text_or,
    with_data,
)

__all__ = [
    "EVENT_BOUND",
    "AnthropicMeter",
    "OpenAIChatMeter",
    "OpenAIResponsesMeter",
    "StreamMeter",
    "StreamTooLarge",
    "merged_usage",
]


class OpenAIChatMeter(StreamMeter):
    """Chat completions. The provider is always asked for usage, which is hidden if the client did not ask."""

    _text = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments)' + TEXT_VALUE, re.DOTALL)
    _marks = (b'"usage"', b"[DONE]", b'"error"', b'"finish_reason":"', b'"finish_reason": "')

    _NULL_USAGE: Final = b',"usage":null'
    # What follows it where it is the last member of an event's object, or the last but for OpenAI's padding:
    # the brace and the blank line prove that it belongs to the outermost object.
    _NULL_USAGE_END: Final = re.compile(rb'(?:,"obfuscation":"[^"\\]*+")?\}\r?\n\r?\n')
    _CONTENT: Final = b'"content":"'

    def __init__(self, *, include_usage_requested_by_client: bool, event_bound: int = EVENT_BOUND) -> None:
        super().__init__(event_bound=event_bound)
        self._hides_usage = not include_usage_requested_by_client

    def _passed(self, events: bytes) -> bytes | None:
        if not self._hides_usage:
            for mark in self._marks[1:]:
                if mark in events:
                    return None
            if events.count(b'"usage"') != events.count(b'"usage":null'):
                return None
            self._count(events)
            return events
        pieces = events.split(self._NULL_USAGE)
        if len(pieces) > 1:
            ends = self._NULL_USAGE_END.match
            for piece in pieces[1:]:
                if ends(piece) is None:
                    return None
            events = b"".join(pieces)
        return super()._passed(events)

    def _count(self, events: bytes) -> None:
        # Nearly every delta has `content` and no escapes; then finding its quotes is enough.
        length = 0
        for piece in events.split(self._CONTENT)[1:]:
            end = piece.find(b'"')
            if piece[end - 1 : end] == b"\\":
                length = 0
                break
            length += end
        if length > 0:
            self.output_characters += length
        else:
            super()._count(events)

    def _read(self, event: bytes, data: bytes) -> bytes | None:
        if data.startswith(b"[DONE]"):
            self.completed = True
            return None
        parsed = object_in(data)
        if parsed is None:
            return event
        self._describe(parsed)
        if error := parsed.get("error"):
            self.error = error if isinstance(error, dict) else {"message": str(error)}
            return None
        self._count(data)
        self._note_finish(parsed)
        usage = parsed.get("usage")
        if isinstance(usage, dict):
            self.usage, self.usage_is_final = usage, True
        if not self._hides_usage or "usage" not in parsed:
            return event
        if usage is not None and not parsed.get("choices"):
            return b""
        return with_data(event, data, without_member(data, "usage"))

    def _note_finish(self, parsed: dict[str, Any]) -> None:
        choices = parsed.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self.finish_reason = text_or(choice.get("finish_reason"), self.finish_reason)


class OpenAIResponsesMeter(StreamMeter):
    """Responses. The usage comes with the terminal event, inside the whole response."""

    _text = re.compile(rb'"delta' + TEXT_VALUE, re.DOTALL)
    _TERMINALS: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
    _marks = (*(name.encode() for name in _TERMINALS), b'"error"', b"event: error")

    def _read(self, event: bytes, data: bytes) -> bytes | None:
        parsed = object_in(data)
        if parsed is None:
            return event
        kind = parsed.get("type") or name_of(event)
        response = parsed.get("response")
        if isinstance(response, dict):
            self._describe(response)
        if kind == "error":
            self.error = parsed
            return None
        if kind not in self._TERMINALS:
            self._count(data)
            return event
        self.completed = True
        if isinstance(response, dict):
            self._conclude(response)
        return None

    def _conclude(self, response: dict[str, Any]) -> None:
        self.usage = usage_of_response(response)
        self.usage_is_final = self.usage is not None
        self.finish_reason = text_or(response.get("status"), None)
        error = response.get("error")
        if isinstance(error, dict):
            self.error = error


class AnthropicMeter(StreamMeter):
    """Messages. Counts come at the start and, cumulatively, with each delta: a field's last value stands."""

    _text = re.compile(rb'"(?:text|thinking|partial_json)' + TEXT_VALUE, re.DOTALL)
    _marks = (b"message_", b'"error"', b"event: error")

    def _read(self, event: bytes, data: bytes) -> bytes | None:
        parsed = object_in(data)
        if parsed is None:
            return event
        kind = parsed.get("type") or name_of(event)
        if kind == "message_stop":
            self.completed = True
            return None
        if kind == "error":
            error = parsed.get("error")
            self.error = error if isinstance(error, dict) else parsed
            return None
        if kind == "message_start" and isinstance(message := parsed.get("message"), dict):
            self._describe(message)
            self._merge(message.get("usage"))
        elif kind == "message_delta":
            self._merge(parsed.get("usage"))
            self.usage_is_final = self.usage is not None
            if isinstance(delta := parsed.get("delta"), dict):
                self.finish_reason = text_or(delta.get("stop_reason"), self.finish_reason)
        else:
            self._count(data)
        return event

    def _merge(self, usage: object) -> None:
        if isinstance(usage, dict):
            self.usage = merged_usage(self.usage or {}, usage)


def merged_usage(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Two reports of one call's usage as one: each field's last value that is not null, nested ones too."""
    merged = dict(earlier)
    for name, value in later.items():
        before = merged.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[name] = merged_usage(before, value)
        elif value is not None or name not in merged:
            merged[name] = value
    return merged
