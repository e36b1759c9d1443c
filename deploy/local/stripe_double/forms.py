"""Stripe's way of writing nested values in a form: `metadata[a]=1&expand[]=x&lines[0][amount]=5`."""

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"\[([^\[\]]*)\]")


class Malformed(ValueError):
    """A name that means nothing, or that means two things at once."""


def decode(text: str) -> dict[str, Any]:
    """A form as nested mappings and lists, every leaf a string."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, _, rest = name.partition("[")
        parts = [head, *_PART.findall("[" + rest)] if rest else [head]
        _put(found, parts, value, name)
    return {name: _lists(value) for name, value in found.items()}


def _put(into: dict[str, Any], parts: list[str], value: str, name: str) -> None:
    for part in parts[:-1]:
        inner = into.setdefault(part, {})
        if not isinstance(inner, dict):
            raise Malformed(name)
        into = inner
    last = parts[-1] or str(len(into))
    if last in into and len(parts) == 1:
        raise Malformed(name)
    into[last] = value


def _lists(value: Any) -> Any:
    """Mappings whose keys are 0, 1, 2 … are lists."""
    if not isinstance(value, dict):
        return value
    if value and list(value) == [str(number) for number in range(len(value))]:
        return [_lists(item) for item in value.values()]
    return {name: _lists(item) for name, item in value.items()}
