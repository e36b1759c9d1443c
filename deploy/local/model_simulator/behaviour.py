"""How one request is answered: the options a test steers with, and the three ways to write them.

An option has a long name (the field below, used in `POST /_faults`) and usually a short one (used in model
names and in the `x-sim` header); both are understood everywhere. README.md lists them with their meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final, get_args, get_type_hints


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What differs from a plain, immediate, correct answer. Times are in milliseconds, None is "as usual"."""

    # What the answer is and what it counts.
    output_tokens: int | None = None
    text: str | None = None
    echo: bool = False
    arguments: str | None = None
    finish: str | None = None
    tool_calls: int | None = None
    input_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int | None = None
    audio_input_tokens: int = 0
    image_input_tokens: int = 0
    audio_output_tokens: int = 0
    rejected_tokens: int = 0
    web_searches: int = 0
    service_tier: str | None = None
    served_model: str | None = None
    context_tokens: int | None = None

    # When it comes, and in what pieces.
    latency_ms: float = 0
    first_byte_ms: float = 0
    between_chunks_ms: float = 0
    tokens_per_chunk: int = 1
    slow_trickle_ms: float = 0
    split_bytes: int = 0
    split_seed: int = 0
    crlf: bool = False
    comments: bool = False
    held: bool = False

    # Refusals.
    status: int | None = None
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    retry_after: str | None = None
    retry_after_ms: int | None = None
    should_retry: str | None = None
    headers: dict[str, str] | None = None

    # Broken connections and streams.
    abort: bool = False
    hang: bool = False
    hang_after_chunks: int | None = None
    cut_after_chunks: int | None = None
    cut_after_bytes: int | None = None
    close_after_chunks: int | None = None
    mid_stream_error: int | None = None
    no_terminal: bool = False

    # Lies.
    usage: dict[str, Any] | None = None
    reported_usage: dict[str, Any] | None = None
    no_usage: bool = False
    negative_usage: bool = False
    duplicate_usage: bool = False
    sparse_usage: bool = False
    invalid_json: bool = False
    malformed_sse: bool = False
    wrong_content_type: str | None = None
    redirect: str | None = None
    gzip_bomb: int = 0
    endless_body: bool = False
    body: str | None = None
    told_status: int = 200
    interim: int = 0
    endless_line: bool = False
    duplicate_terminal: bool = False

    @property
    def shapes_delivery(self) -> bool:
        """Whether the body cannot simply be handed over whole."""
        return bool(
            self.first_byte_ms
            or self.slow_trickle_ms
            or self.split_bytes
            or self.cut_after_bytes is not None
            or self.cut_after_chunks is not None
            or self.close_after_chunks is not None
            or self.hang_after_chunks is not None
            or self.gzip_bomb
            or self.endless_body
            or self.told_status != 200
        )


PLAIN: Final = Behaviour()

SHORT_NAMES: Final = {
    "out": "output_tokens",
    "finish": "finish",
    "tools": "tool_calls",
    "in": "input_tokens",
    "cached": "cached_tokens",
    "cachewrite": "cache_write_5m_tokens",
    "cachewrite5m": "cache_write_5m_tokens",
    "cachewrite1h": "cache_write_1h_tokens",
    "reasoning": "reasoning_tokens",
    "audioin": "audio_input_tokens",
    "images": "image_input_tokens",
    "audioout": "audio_output_tokens",
    "rejected": "rejected_tokens",
    "websearch": "web_searches",
    "tier": "service_tier",
    "served": "served_model",
    "model": "served_model",
    "context": "context_tokens",
    "latency": "latency_ms",
    "ttfb": "first_byte_ms",
    "chunk": "between_chunks_ms",
    "per": "tokens_per_chunk",
    "trickle": "slow_trickle_ms",
    "slow_trickle": "slow_trickle_ms",
    "split": "split_bytes",
    "splitseed": "split_seed",
    "errortype": "error_type",
    "errorcode": "error_code",
    "retryafter": "retry_after",
    "retryafterms": "retry_after_ms",
    "shouldretry": "should_retry",
    "hangafter": "hang_after_chunks",
    "cut": "cut_after_chunks",
    "cutbytes": "cut_after_bytes",
    "close": "close_after_chunks",
    "streamerror": "mid_stream_error",
    "noend": "no_terminal",
    "nousage": "no_usage",
    "negative": "negative_usage",
    "dupusage": "duplicate_usage",
    "sparse": "sparse_usage",
    "badjson": "invalid_json",
    "badsse": "malformed_sse",
    "wrongtype": "wrong_content_type",
    "bomb": "gzip_bomb",
    "endless": "endless_body",
    "status2xx": "told_status",
    "interim": "interim",
    "endlessline": "endless_line",
    "dupend": "duplicate_terminal",
}

# What an option means when it is named without a value.
_BARE: Final[dict[str, Any]] = {
    "cut_after_chunks": 1,
    "close_after_chunks": 1,
    "hang_after_chunks": 1,
    "mid_stream_error": 1,
    "slow_trickle_ms": 5,
    "split_bytes": 1,
    "tool_calls": 1,
    "gzip_bomb": 64,
    "wrong_content_type": "text/html; charset=utf-8",
    "redirect": "/_redirected",
}


class UnknownOption(ValueError):
    """An option nobody has heard of, or a value that does not fit: a mistake in the test, said loudly."""


def _types_of_options() -> dict[str, type]:
    hints = get_type_hints(Behaviour)
    types: dict[str, type] = {}
    for field in fields(Behaviour):
        hint = hints[field.name]
        plain = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
        types[field.name] = dict if plain[0] not in (int, float, str, bool) else plain[0]
    return types


_TYPES: Final = _types_of_options()


def steer(behaviour: Behaviour, options: Mapping[str, Any]) -> Behaviour:
    """Return the behaviour with these options set; a value of None or True means the option's bare form."""
    changes: dict[str, Any] = {}
    for given, value in options.items():
        name = SHORT_NAMES.get(given, given)
        if name not in _TYPES:
            raise UnknownOption(f"The model simulator has no option {given!r}.")
        changes[name] = _convert(name, value)
    return replace(behaviour, **changes)


def _convert(name: str, value: Any) -> Any:
    kind = _TYPES[name]
    if kind is bool:
        return value if isinstance(value, bool) else str(value).lower() in ("none", "true", "1", "yes")
    if value is None or value is True:
        if name not in _BARE:
            raise UnknownOption(f"The model simulator's option {name!r} needs a value.")
        return _BARE[name]
    if kind is dict:
        if not isinstance(value, dict):
            raise UnknownOption(f"The model simulator's option {name!r} is a JSON object.")
        return value
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise UnknownOption(f"The model simulator's option {name!r} cannot be {value!r}.") from error


@lru_cache(maxsize=4096)
def from_model_name(model: str) -> Behaviour:
    """Read `…sim-out-200+ttfb-500`: everything from the first `sim-` on, options joined by `+`."""
    _, found, tail = model.partition("sim-")
    if not found:
        return PLAIN
    options: dict[str, Any] = {}
    for part in tail.split("+"):
        name, has_value, value = part.removeprefix("sim-").partition("-")
        if name:
            options[name] = value if has_value else None
    return steer(PLAIN, options)


def from_header(behaviour: Behaviour, header: str) -> Behaviour:
    """Read `x-sim: out=200, nousage` on top of what the model's name said."""
    options: dict[str, Any] = {}
    for part in header.split(","):
        name, has_value, value = part.strip().partition("=")
        if name:
            options[name.strip()] = value.strip() if has_value else None
    return steer(behaviour, options)
