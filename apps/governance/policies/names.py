"""Lists of names with `*` and `?`: which are allowed, and whether one list stays inside another."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

# Stand for a pattern's wildcards where it is itself looked at as a name.
_MANY, _ONE = "\x00", "\x01"


@dataclass(frozen=True, slots=True)
class Names:
    """The names on `allow` (None: every name) less those on `deny`. `*` stands for any letters, `?` for one."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()


class NameTest:
    """Names compiled: one look per name."""

    __slots__ = ("_allow", "_deny")

    def __init__(self, names: Names) -> None:
        self._allow = None if names.allow is None else _any_of(names.allow)
        self._deny = _any_of(names.deny) if names.deny else None

    def denies(self, name: str) -> bool:
        """Whether the name is denied outright."""
        return self._deny is not None and self._deny.match(name) is not None

    def lists(self, name: str) -> bool:
        """Whether the name is on the list of those allowed, or there is no such list."""
        return self._allow is None or self._allow.match(name) is not None

    def allows(self, name: str) -> bool:
        """Whether the name may be used."""
        return self.lists(name) and not self.denies(name)


def not_covered(patterns: Iterable[str], by: Iterable[str]) -> list[str]:
    """Those of the patterns that mean a name which none of the other list's does."""
    return [pattern for pattern in patterns if not is_covered(pattern, by)]


def is_covered(pattern: str, by: Iterable[str]) -> bool:
    """Whether one pattern of a list means every name that this one means. Never yes where that is not so."""
    shape = pattern.replace("*", _MANY).replace("?", _ONE)
    return any(_shape_of(other).match(shape) is not None for other in by)


@cache
def _shape_of(pattern: str) -> re.Pattern[str]:
    # `?` covers one letter and another `?`, but no `*`, which may be several letters.
    parts = [".*" if part == "*" else f"[^{_MANY}]" if part == "?" else re.escape(part) for part in pattern]
    return re.compile("".join(parts) + r"\Z", re.DOTALL)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # fnmatch writes patterns that cannot run away on long names; of its own language only * and ? are ours.
    every = "|".join(fnmatch.translate(pattern.replace("[", "[[]")) for pattern in patterns)
    return re.compile(every or r"(?!)")
