"""Which parameters exist, by the types that ship with stripe-python: a misspelt one is refused as Stripe
does."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import stripe.params
from stripe._request_options import RequestOptions

_OPTIONS = frozenset(RequestOptions.__annotations__)
_NAMES = re.compile(r"[A-Z]\w*Params\w*")


def unknown(kind: str, given: Mapping[str, Any]) -> Iterator[str]:
    """The names in a request that `stripe.params.<kind>` does not have, nested ones as a[b]."""
    yield from _unknown(kind, given, "")


def _unknown(kind: str, given: Mapping[str, Any], prefix: str) -> Iterator[str]:
    known = _fields(kind)
    for name, value in given.items():
        shown = f"{prefix}[{name}]" if prefix else name
        if name not in known:
            yield shown
        elif known[name] and isinstance(value, dict):
            yield from _unknown(known[name], value, shown)
        elif known[name] and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _unknown(known[name], item, f"{shown}[{number}]")


@cache
def _fields(kind: str) -> dict[str, str]:
    """Each parameter with the name of the type of what is in it, or nothing for a plain value."""
    # `__annotations__` and not get_type_hints: some forward references cannot be resolved.
    annotations = getattr(stripe.params, kind).__annotations__
    found = {}
    for name, annotation in annotations.items():
        if name in _OPTIONS:
            continue
        inner = [one for one in _NAMES.findall(str(annotation)) if hasattr(stripe.params, one)]
        found[name] = inner[0] if inner else ""
    return found
