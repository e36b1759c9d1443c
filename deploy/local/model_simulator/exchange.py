"""One request with its answer and its identifiers: what the wire formats render."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

import orjson

from deploy.local.model_simulator.answer import Answer
from deploy.local.model_simulator.ask import Ask
from deploy.local.model_simulator.behaviour import Behaviour
from deploy.local.model_simulator.usage import Usage, negated, overridden

_RUN: Final = secrets.token_hex(6)
_numbers: Final = count(1)


def new_id(prefix: str) -> str:
    """Return an identifier that no other answer of any run has."""
    return f"{prefix}{_RUN}{next(_numbers):012x}"


class Frame(NamedTuple):
    """A piece of a stream. `tokens` were produced for it; `is_chunk` if it carries some of the answer.

    The first `is_final` piece is sent when the whole answer was produced.
    """

    data: bytes
    tokens: int = 0
    is_chunk: bool = False
    is_final: bool = False


@dataclass(slots=True)
class Exchange:
    """A request, its answer, and how both are to be told."""

    ask: Ask
    behaviour: Behaviour
    answer: Answer
    response_id: str
    created: int

    @property
    def model(self) -> str:
        """The model that claims to have answered."""
        return self.behaviour.served_model or self.ask.model

    @property
    def service_tier(self) -> str:
        """The tier the request was served in, in the dialect's words."""
        if self.behaviour.service_tier:
            return self.behaviour.service_tier
        if self.ask.dialect == "anthropic":
            return "standard"
        asked = self.ask.service_tier
        if asked == "fast":
            return "priority"
        return "default" if asked in (None, "auto") else asked

    def reported(self, usage: Usage | None = None) -> dict[str, Any] | None:
        """Return the usage as the client is told it, which a test may have made untrue; None is untold."""
        if self.behaviour.no_usage:
            return None
        raw = (usage or self.answer.usage).raw(self.ask.endpoint, self.service_tier)
        if self.behaviour.usage:
            raw = overridden(raw, self.behaviour.usage)
        if self.behaviour.reported_usage:
            raw = overridden(raw, self.behaviour.reported_usage)
        return negated(raw) if self.behaviour.negative_usage else raw

    def grouped(self, pieces: list[str]) -> Iterator[tuple[str, int]]:
        """Return the pieces as they are streamed: the text of each chunk and its number of tokens."""
        size = max(self.behaviour.tokens_per_chunk, 1)
        if size == 1:
            for piece in pieces:
                yield piece, 1
            return
        for start in range(0, len(pieces), size):
            group = pieces[start : start + size]
            yield "".join(group), len(group)


def event(payload: dict[str, Any], name: str | None = None) -> bytes:
    """Return a server-sent event."""
    data = orjson.dumps(payload)
    return b"data: %b\n\n" % data if name is None else b"event: %b\ndata: %b\n\n" % (name.encode(), data)
