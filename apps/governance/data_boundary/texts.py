"""The texts of a JSON body: what people, models and tools say, and not what only protocols read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

# Values of these names are read by protocols, or are blobs. Within what a tool is given, no name means anything.
_STRUCTURE: Final = frozenset(
    {
        "model", "role", "type", "id", "object", "tool_call_id", "tool_use_id", "call_id", "item_id", "name", "status",
        "finish_reason", "stop_reason", "media_type", "detail", "format", "encoding_format", "file_data", "signature",
        "encrypted_content", "service_tier", "effort", "reasoning_effort", "tool_choice", "file_id", "created",
        "previous_response_id", "prompt_cache_key", "system_fingerprint", "image_url", "url", "file_url", "b64_json",
        "embedding", "truncation", "verbosity", "syntax", "container", "server_label",
    }
)  # fmt: skip
_FREE: Final = frozenset({"metadata"})
_LEAST_NUMBER: Final = 10_000_000


@dataclass(slots=True)
class Piece:
    """One text and where it stands: `holder[key]`."""

    holder: Any
    key: Any
    text: str
    is_json: bool = False
    is_number: bool = False


def pieces_of(parsed: Any) -> Iterator[Piece]:
    """Every text of a body, in order."""
    stack: list[tuple[Any, bool]] = [(parsed, False)]
    while stack:
        holder, free = stack.pop()
        if type(holder) is dict:
            inner: list[tuple[Any, bool]] = []
            for key, value in holder.items():
                kind = type(value)
                if kind is str:
                    if value and (free or _is_text(key, value, holder)):
                        yield Piece(holder, key, value, is_json=key == "arguments")
                elif kind is dict:
                    inner.append((value, free or key == "input" or key in _FREE))
                elif kind is list:
                    if free or key != "embedding":
                        inner.append((value, free))
                elif free and kind is int and abs(value) >= _LEAST_NUMBER:
                    yield Piece(holder, key, str(value), is_number=True)
            stack += reversed(inner)
        elif type(holder) is list:
            # Token ids and vectors: thousands of numbers and not one text.
            if holder and type(holder[0]) in (int, float) and not free:
                continue
            below: list[tuple[Any, bool]] = []
            for place, value in enumerate(holder):
                kind = type(value)
                if kind is str:
                    if value:
                        yield Piece(holder, place, value)
                elif kind is dict or kind is list:
                    below.append((value, free))
                elif free and kind is int and abs(value) >= _LEAST_NUMBER:
                    yield Piece(holder, place, str(value), is_number=True)
            stack += reversed(below)


def _is_text(key: str, value: str, holder: dict[str, Any]) -> bool:
    if key == "data":
        return holder.get("type") == "text"
    return key not in _STRUCTURE
