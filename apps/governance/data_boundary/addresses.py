"""Addresses: e-mail, found from the @ outwards, and IPv6, found from its colons."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from apps.governance.data_boundary.classes import DataClass, Finding

_LOCAL: Final = frozenset("!#$%&'*+-/=?^_`{|}~.")
_MOST_LOCAL: Final = 64
_DOMAIN: Final = re.compile(
    r"(?:[^\W_](?:[^\W_]|-){0,62}\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9\-]{2,59})(?![^\W_])"
)
# Two together, or one of many: a time of day has too few.
_COLON: Final = re.compile(r":(?=:|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:)")
_IPV6_SIGNS: Final = frozenset("0123456789abcdefABCDEF:.")
_LONGEST_IPV6: Final = 45
# What an address may be written in, and does not belong to it.
_EDGES: Final = "'`.*/={|~!?&"


def emails(text: str, before: str) -> Iterator[Finding]:
    """E-mail addresses."""
    at = text.find("@")
    while at >= 0:
        start, lowest = at, max(0, at - _MOST_LOCAL)
        while start > lowest and ((sign := text[start - 1]).isalnum() or sign in _LOCAL):
            start -= 1
        while start < at and text[start] in _EDGES:
            start += 1
        if start < at and text[at - 1] != ".":
            domain = _DOMAIN.match(text, at + 1, min(len(text), at + 254))
            if domain is not None:
                yield Finding(start, domain.end(), DataClass.EMAIL)
        at = text.find("@", at + 1)


def ipv6(text: str, before: str) -> Iterator[Finding]:
    """IPv6 addresses, without loopback and nothing."""
    if "::" not in text and text.count(":") < 7:
        return
    done = 0
    for colon in _COLON.finditer(text):
        position = colon.start()
        if position < done:
            continue
        start, end = position, position
        while start > done and position - start < _LONGEST_IPV6 and text[start - 1] in _IPV6_SIGNS:
            start -= 1
        while end < len(text) and end - start <= _LONGEST_IPV6 and text[end] in _IPV6_SIGNS:
            end += 1
        done = end
        if start and (text[start - 1].isalnum() or text[start - 1] == "_"):
            continue
        if end < len(text) and (text[end].isalnum() or text[end] == "_"):
            continue
        written = text[start:end].rstrip(".")
        if written.endswith(":") and not written.endswith("::"):
            written = written[:-1]
        if written.count(":") < 2:
            continue
        try:
            address = ipaddress.IPv6Address(written)
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified:
            yield Finding(start, start + len(written), DataClass.IP_ADDRESS)
