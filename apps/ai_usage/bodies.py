"""JSON bodies changed in place: a value is replaced or a member added, and all other bytes stay as they were.

They come from clients and providers, so nothing is assumed about spacing, the order of keys, nested keys of
the same name, keys given twice, or keys spelled with escapes. Each has been parsed once already, so it is
known to be valid.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

import orjson

from apps.ai_usage.normalise import Endpoint

# Where a caller limits the output, by endpoint; the first is what we write when the caller named none.
OUTPUT_LIMITS: Final[Mapping[str, tuple[str, ...]]] = {
    Endpoint.CHAT_COMPLETIONS: ("max_completion_tokens", "max_tokens"),
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.MESSAGES: ("max_tokens",),
    Endpoint.EMBEDDINGS: (),
}

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\],:]", re.DOTALL)
_NESTED: Final = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_PLAIN_VALUE: Final = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*(" + _STRING + rb"|[-+.0-9A-Za-z]+)", re.DOTALL)
_SPACE: Final = b" \t\r\n"
_ADDRESSED: Final = re.compile(rb'"(?:url|image_url|file_url|file_id)"\s*:\s*"(?!data:)')


class Member(NamedTuple):
    """One member of an object, as offsets into its bytes."""

    name: str
    name_start: int
    value_start: int
    value_end: int


def members(body: bytes) -> Iterator[Member]:
    """The members of the outermost object, in order, duplicates included; nothing if it is not an object."""
    position = len(body) - len(body.lstrip(_SPACE))
    if body[position : position + 1] != b"{":
        return
    position += 1
    name = b""
    name_start = value_start = -1
    while token := _TOKEN.search(body, position):
        position = token.end()
        kind = body[token.start()]
        if kind in b"{[":
            position = _after_nested(body, position)
        elif kind in b",}":
            if value_start >= 0:
                value_end = token.start() - _trailing_space(body, value_start, token.start())
                yield Member(_decoded(name), name_start, value_start, value_end)
            if kind in b"}":
                return
            name_start = value_start = -1
        elif kind in b":":
            value_start = _skip_space(body, position)
        elif name_start < 0:
            name, name_start = token.group(), token.start()


def with_model(body: bytes, parsed: Mapping[str, Any], model: str) -> bytes:
    """The body with another value for its top-level `model`."""
    new = orjson.dumps(model)
    return _edited(body, parsed, "model", lambda old: new)


def with_include_usage(body: bytes, parsed: Mapping[str, Any] | None = None) -> bytes:
    """The body of a chat completion that asks for usage in its stream, whatever the client asked."""
    if parsed is None:
        parsed = orjson.loads(body)
    if "stream_options" not in parsed:
        return _with_new_member(body, b'"stream_options":{"include_usage":true}', empty=not parsed)
    return _edited(body, parsed, "stream_options", _including_usage)


def asks_for_usage(parsed: Mapping[str, Any]) -> bool:
    """Whether the client asked for usage in the stream of a chat completion."""
    options = parsed.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def with_max_tokens(body: bytes, parsed: Mapping[str, Any], endpoint: str, limit: int) -> bytes:
    """The body with its output limited to `limit` tokens; a lower limit of the client's stays as it is."""
    new = b"%d" % limit
    names = OUTPUT_LIMITS[endpoint]
    given = [name for name in names if name in parsed]
    for name in given:
        body = _edited(body, parsed, name, lambda old: old if _is_at_most(old, limit) else new)
    if names and not given:
        return _with_new_member(body, b'"%s":%s' % (names[0].encode(), new), empty=not parsed)
    return body


def output_asked(endpoint: str, parsed: Mapping[str, Any]) -> int | None:
    """The output limit that the caller named, per choice; None if it named none that is a number."""
    named = [parsed.get(name) for name in OUTPUT_LIMITS[endpoint]]
    return max((limit for limit in named if type(limit) is int and limit >= 0), default=None)


def choices_asked(parsed: Mapping[str, Any]) -> int:
    """How many answers a chat completion is to generate; each has the whole output limit to itself."""
    number = parsed.get("n")
    return number if type(number) is int and number > 1 else 1


def remote_media(body: bytes) -> int:
    """How many images and files a request gives by address, so that its length says nothing of their size."""
    return len(_ADDRESSED.findall(body))


def without_member(body: bytes, name: str) -> bytes:
    """The object without its members of this name."""
    every = list(members(body))
    first_kept = next((index for index, member in enumerate(every) if member.name != name), len(every))
    cuts = []
    if first_kept:
        leading_end = every[first_kept].name_start if first_kept < len(every) else every[-1].value_end
        cuts.append((every[0].name_start, leading_end))
    # A later one takes the comma before it along.
    cuts += [
        (before.value_end, member.value_end)
        for before, member in pairwise(every[first_kept:])
        if member.name == name
    ]
    for start, end in reversed(cuts):
        body = body[:start] + body[end:]
    return body


def _edited(body: bytes, parsed: Mapping[str, Any], name: str, edit: Callable[[bytes], bytes]) -> bytes:
    """The body with every top-level value of this name replaced by what `edit` makes of its bytes.

    Every one, because a provider may take the first of two where our parser takes the last.
    """
    if name not in parsed:
        return body
    span = _only_occurrence(body, name.encode())
    spans = [span] if span else [one[2:] for one in members(body) if one.name == name]
    pieces: list[bytes] = []
    position = 0
    for start, end in spans:
        pieces += body[position:start], edit(body[start:end])
        position = end
    pieces.append(body[position:])
    return b"".join(pieces)


def _only_occurrence(body: bytes, name: bytes) -> tuple[int, int] | None:
    """Where the value of a key stands, if the quoted key stands only once in the body and has a plain value.

    The caller knows that the key exists at the top level. If its quoted form occurs once and no escape could
    spell it otherwise, that occurrence is it. This spares walking megabytes for the usual request.
    """
    quoted = b'"%s"' % name
    if body.count(quoted) != 1 or rb"\u" in body:
        return None
    start = body.index(quoted)
    value = _PLAIN_VALUE.match(body, start + len(quoted))
    if value is None or body[start - 1 : start] == b"\\":
        return None
    return value.span(1)


def _including_usage(options: bytes) -> bytes:
    if options == b"null":
        return b'{"include_usage":true}'
    if not options.startswith(b"{"):
        return options  # not an object: the provider's to refuse
    parsed = orjson.loads(options)
    if "include_usage" in parsed:
        return _edited(options, parsed, "include_usage", lambda old: b"true")
    return _with_new_member(options, b'"include_usage":true', empty=not parsed)


def _with_new_member(body: bytes, member: bytes, *, empty: bool) -> bytes:
    start = body.index(b"{") + 1
    return b"".join((body[:start], member, b"" if empty else b",", body[start:]))


def _is_at_most(raw: bytes, limit: int) -> bool:
    value = orjson.loads(raw)
    return type(value) in (int, float) and value <= limit


def _after_nested(body: bytes, position: int) -> int:
    depth = 1
    for token in _NESTED.finditer(body, position):
        kind = body[token.start()]
        if kind in b"{[":
            depth += 1
        elif kind in b"}]":
            depth -= 1
            if not depth:
                return token.end()
    return len(body)


def _skip_space(body: bytes, position: int) -> int:
    while body[position] in _SPACE:
        position += 1
    return position


def _trailing_space(body: bytes, start: int, end: int) -> int:
    value = body[start:end]
    return len(value) - len(value.rstrip(_SPACE))


def _decoded(quoted: bytes) -> str:
    name: str = orjson.loads(quoted)
    return name
