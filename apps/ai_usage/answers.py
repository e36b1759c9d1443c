"""Whole answers read for their usage: tolerant of anything a provider may send."""

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from apps.ai_usage.normalise import Endpoint

_TEXT: Final = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal|arguments|text|thinking)":"([^"\\]*+(?:\\.[^"\\]*+)*+)"',
    re.DOTALL,
)
_ANSWERS: Final = ("choices", "output", "content", "data")
_OUTPUT_COUNTS: Final = ("completion_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class ResponseUsage:
    """What an answer that was not streamed says about itself. Every field is None if it does not say."""

    usage: dict[str, Any] | None = None
    model: str | None = None
    service_tier: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    # The length of the text that was generated; only measured where the usage does not count any output.
    output_characters: int = 0
    # Why this is no answer to anybody, whatever its status says.
    problem: str = ""


def response_usage(dialect: str, endpoint: str, body: bytes) -> ResponseUsage:
    """Read an answer's usage. A body that is not a JSON object says nothing; it is never an error here."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ResponseUsage(problem="a body that is not JSON")
    if not isinstance(parsed, dict):
        return ResponseUsage(problem="a body that is not a JSON object")
    usage = usage_of_response(parsed)
    counted = usage is not None and any(usage.get(name) for name in _OUTPUT_COUNTS)
    measured = 0 if counted or endpoint == Endpoint.EMBEDDINGS else _output_characters(dialect, parsed)
    return ResponseUsage(
        usage=usage,
        model=_text(parsed.get("model")),
        service_tier=_text(parsed.get("service_tier")),
        response_id=_text(parsed.get("id")),
        finish_reason=_finish_reason(dialect, endpoint, parsed),
        output_characters=measured,
        problem=""
        if any(name in parsed for name in _ANSWERS) or not parsed.get("error")
        else "an error object",
    )


def usage_of_response(response: dict[str, Any]) -> dict[str, Any] | None:
    """A response's usage, with the usage of hosted tools that the Responses surface puts beside it."""
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None
    tools = response.get("tool_usage")
    return {**usage, "tool_usage": tools} if isinstance(tools, dict) and tools else usage


def _output_characters(dialect: str, parsed: dict[str, Any]) -> int:
    generated = [parsed.get(name) for name in ("choices", "output", "content")]
    length = sum(len(text) for text in _TEXT.findall(orjson.dumps(generated)))
    blocks = parsed.get("content")
    if dialect == "anthropic" and isinstance(blocks, list):
        # A tool's input is generated too, but is an object instead of text.
        inputs = (one["input"] for one in blocks if isinstance(one, dict) and "input" in one)
        length += sum(len(orjson.dumps(one)) for one in inputs)
    return length


def _finish_reason(dialect: str, endpoint: str, parsed: dict[str, Any]) -> str | None:
    if dialect == "anthropic":
        return _text(parsed.get("stop_reason"))
    if endpoint == Endpoint.RESPONSES:
        return _text(parsed.get("status"))
    choices = parsed.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return _text(first.get("finish_reason")) if isinstance(first, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
