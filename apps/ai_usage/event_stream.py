"""Event streams as they pass: cut into events, watched, and held back at the end."""

import re
from typing import Any, ClassVar, Final

import orjson

EVENT_BOUND: Final = 8 * 1024 * 1024
# Atomic groups, so that the \r and \n of one CRLF are never taken for two line ends. A \r at the very end is
# not a line end yet, since the rest of a CRLF may follow.
_BLANK_LINE: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r(?=.))", re.DOTALL)
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_ENDINGS: Final = (b"\n\n", b"\r\n\r\n")
TEXT_VALUE: Final = rb'":[ ]?"([^"\\]*+(?:\\.[^"\\]*+)*+)"'


class StreamTooLarge(Exception):
    """One event of a stream is larger than any provider sends; reading on would only fill memory."""

    def __init__(self, bound: int) -> None:
        super().__init__(f"An event of the stream is larger than {bound} bytes.")


class StreamMeter:
    """What the meters of the dialects share: cutting the stream into events and holding back its end.

    `feed` and `finish` return bytes to forward, `take_terminal` the bytes that end the stream, to be sent
    once the usage has been committed. A new one for each attempt.
    """

    # Any of these in an event's bytes means that it has to be looked at; without them it goes through unread.
    _marks: ClassVar[tuple[bytes, ...]] = ()
    # The generated text in an event, for the estimate when a provider never says.
    _text: ClassVar[re.Pattern[bytes]]

    def __init__(self, *, event_bound: int = EVENT_BOUND) -> None:
        self.usage: dict[str, Any] | None = None
        # Whether `usage` is the provider's last word, or from before the stream was through.
        self.usage_is_final = False
        # The provider said that it was done, in the dialect's way.
        self.completed = False
        # The provider's error object, if the stream ended in one.
        self.error: dict[str, Any] | None = None
        # The length of the text generated so far as it stands in the JSON: UTF-8, escapes and all.
        self.output_characters = 0
        self.model: str | None = None
        self.service_tier: str | None = None
        self.response_id: str | None = None
        self.finish_reason: str | None = None
        self._bound = event_bound
        self._begun = False
        self._waiting = bytearray()
        self._terminal: bytearray | None = None
        self._terminal_taken = False

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived; return what may be forwarded now."""
        if self._terminal is not None:
            return self._after_terminal(chunk)
        if self._waiting:
            return self._feed_waiting(chunk)
        if chunk.endswith(_ENDINGS) and self._begun:
            passed = self._passed(chunk)
            if passed is not None:
                return passed
        return self._feed_events(chunk)

    def finish(self) -> bytes:
        """The stream has ended; return what is still to forward, which is not the terminal event.

        An event that was cut short is dropped, and one that only lacks its blank line gets it, so that an
        error event may follow either.
        """
        rest = bytes(self._waiting)
        self._waiting.clear()
        data = data_of(rest)
        if not data or not (data.startswith(b"[DONE]") or object_in(data)):
            return b""
        forwarded = self._forward(rest)
        return forwarded.rstrip(b"\r\n") + b"\n\n" if forwarded else b""

    @property
    def held_terminal(self) -> bytes:
        """The event that ends the stream and whatever followed it; empty if there is none or it was taken."""
        return bytes(self._terminal or b"")

    def take_terminal(self) -> bytes:
        """The same, to forward it now that the usage is safe."""
        held = self.held_terminal
        self._terminal = bytearray()
        self._terminal_taken = True
        return held

    def _after_terminal(self, chunk: bytes) -> bytes:
        if self._terminal_taken or self._terminal is None:
            return chunk
        self._terminal += chunk
        if len(self._terminal) > self._bound:
            raise StreamTooLarge(self._bound)
        return b""

    def _feed_waiting(self, chunk: bytes) -> bytes:
        # A blank line can only have been completed where the pieces meet, so a long event is not rescanned.
        if _BLANK_LINE.search(self._waiting[-3:] + chunk) is None:
            return self._wait(chunk)
        everything = bytes(self._waiting) + chunk
        self._waiting.clear()
        return self._feed_events(everything)

    def _feed_events(self, chunk: bytes) -> bytes:
        if chunk.endswith(_ENDINGS):
            return self._forward(chunk)
        end = _end_of_last_event(chunk)
        forwarded = self._forward(chunk[:end]) if end else b""
        rest = chunk[end:]
        if not rest:
            return forwarded
        if self._terminal is not None:
            self._after_terminal(rest)
            return forwarded
        self._wait(rest)
        return forwarded

    def _wait(self, piece: bytes) -> bytes:
        self._waiting += piece
        if len(self._waiting) > self._bound:
            raise StreamTooLarge(self._bound)
        return b""

    def _forward(self, events: bytes) -> bytes:
        """Whole events in; out what may go on, stopping short of a terminal one."""
        if self._begun:
            passed = self._passed(events)
            if passed is not None:
                return passed
        pieces = []
        position = 0
        while position < len(events):
            blank = _BLANK_LINE.search(events, position)
            end = blank.end() if blank else len(events)
            piece = self._event(events[position:end])
            if piece is None:
                self._terminal = bytearray(events[position:])
                break
            pieces.append(piece)
            position = end
        return b"".join(pieces)

    def _passed(self, events: bytes) -> bytes | None:
        """The events as they may go on, if none of them has to be looked at; else None."""
        for mark in self._marks:
            if mark in events:
                return None
        self._count(events)
        return events

    def _event(self, event: bytes) -> bytes | None:
        """One event as it may go on; None if it ends the stream."""
        if self._begun:
            passed = self._passed(event)
            if passed is not None:
                return passed
        data = data_of(event)
        if not data:
            return event
        return self._read(event, data)

    def _read(self, event: bytes, data: bytes) -> bytes | None:
        raise NotImplementedError

    def _count(self, events: bytes) -> None:
        for text in self._text.findall(events):
            self.output_characters += len(text)

    def _describe(self, described: dict[str, Any]) -> None:
        """Remember who answered, from an object that has `id`, `model` and `service_tier`."""
        self._begun = True
        self.response_id = text_or(described.get("id"), self.response_id)
        self.model = text_or(described.get("model"), self.model)
        self.service_tier = text_or(described.get("service_tier"), self.service_tier)


def _end_of_last_event(chunk: bytes) -> int:
    end = 0
    for blank in _BLANK_LINE.finditer(chunk):
        end = blank.end()
    return end


def data_of(event: bytes) -> bytes:
    """The data of an event: its `data:` lines without the name, joined."""
    start = event.find(b"data:")
    if start < 0:
        return b""
    if event.count(b"data:") == 1 and start in (0, event.rfind(b"\n", 0, start) + 1):
        end = _LINE.search(event, start)
        line = event[start + 5 : end.start() if end else len(event)]
        return line[1:] if line[:1] == b" " else line
    lines = (line[5:] for line in _LINE.split(event) if line.startswith(b"data:"))
    return b"\n".join(line[1:] if line[:1] == b" " else line for line in lines)


def with_data(event: bytes, old: bytes, new: bytes) -> bytes:
    """The event with other data. Data over several lines becomes one, after the event's other lines."""
    if old in event:
        return event.replace(old, new, 1)
    ending = b"\r\n" if b"\r\n" in event else b"\n"
    others = [line for line in _LINE.split(event) if line and not line.startswith(b"data:")]
    return ending.join([*others, b"data: " + new.replace(b"\n", b""), b"", b""])


def name_of(event: bytes) -> str | None:
    for line in _LINE.split(event):
        if line.startswith(b"event:"):
            return line[6:].strip().decode("utf-8", "replace")
    return None


def object_in(data: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def text_or(value: object, otherwise: str | None) -> str | None:
    return value if isinstance(value, str) and value else otherwise
