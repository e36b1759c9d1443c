"""A strict reader of YAML: every value is asked for by name and kind, and whatever was not asked for is a
problem.

It reads the text of each scalar as it stands, so that 0.10 is never a float, and remembers its line.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import yaml

from apps import money
from apps.ai_usage.types import CatalogueProblem

T = TypeVar("T")

_STR, _INT, _FLOAT = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_BOOL, _NULL, _TIME = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:timestamp"
_NUMBERS = (_STR, _INT, _FLOAT)
_DECIMAL = re.compile(r"-?[0-9]{1,26}(?:\.[0-9]+)?\Z")
_WHOLE = re.compile(r"[0-9]{1,18}\Z")
_MISSING: Any = object()


class Problems(list[CatalogueProblem]):
    """All that is wrong with a file, gathered so that one reading tells everything."""

    def add(self, node: yaml.Node | None, where: str, reason: str) -> None:
        """Note a reason at a node's line."""
        self.append(CatalogueProblem(node.start_mark.line + 1 if node else 0, where, reason))


class Mapping:
    """A YAML mapping whose keys are taken one by one; `done` complains about those that nobody took."""

    def __init__(self, problems: Problems, node: yaml.Node, where: str) -> None:
        self.problems = problems
        self.node = node
        self.where = where
        self.line = node.start_mark.line + 1
        self._values: dict[str, yaml.Node] = {}
        self._untaken: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            problems.add(node, where, "must be a mapping of names to values")
            return
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                problems.add(key, where, "only plain names can be keys here")
            elif key.value in self._values:
                problems.add(key, where, f"`{key.value}` is given twice")
            else:
                self._values[key.value] = value
                self._untaken[key.value] = key

    def done(self) -> None:
        """Every key that was not taken is unknown here."""
        for name, key in self._untaken.items():
            self.problems.add(key, self.where, f"`{name}` is not known here")

    def has(self, name: str) -> bool:
        """Whether the key is there."""
        return name in self._values

    def names(self) -> list[str]:
        """The keys that are there."""
        return list(self._values)

    def text(
        self, name: str, default: str = _MISSING, *, one_of: tuple[str, ...] = (), longest: int = 300
    ) -> str:
        """Text without control characters."""

        def read(text: str) -> str:
            if not text.strip() or len(text) > longest or not text.isprintable():
                raise ValueError(f"must be text of 1 to {longest} printable characters")
            if one_of and text not in one_of:
                raise ValueError(f"must be one of {', '.join(one_of)}, not {text}")
            return text

        return self._scalar(name, (_STR,), read, default, otherwise="")

    def flag(self, name: str, default: bool | None = _MISSING) -> bool:
        """true or false, no other word."""

        def read(text: str) -> bool:
            if text not in ("true", "false"):
                raise ValueError("must be true or false")
            return text == "true"

        return self._scalar(name, (_BOOL,), read, default, otherwise=False)

    def whole(self, name: str, default: int | None = _MISSING, *, low: int = 0, high: int = 10**12) -> int:
        """A whole number within bounds."""
        return self._scalar(name, _NUMBERS, lambda text: read_whole(text, low, high), default, otherwise=low)

    def seconds(self, name: str, default: float) -> float:
        """A positive time in seconds."""

        def read(text: str) -> float:
            value = read_decimal(text, decimals=3)
            if not 0 < value <= 86_400:
                raise ValueError("must be more than 0 and at most 86400 seconds")
            return float(value)

        return self._scalar(name, _NUMBERS, read, default, otherwise=default)

    def decimal(self, name: str, default: Decimal = _MISSING, *, decimals: int, low: int = 0) -> Decimal:
        """An exact number of at most so many decimals."""
        return self._scalar(
            name,
            _NUMBERS,
            lambda text: read_decimal(text, decimals=decimals, low=low),
            default,
            otherwise=money.ZERO,
        )

    def moment(self, name: str, now: datetime) -> datetime:
        """A date (midnight UTC), a time with its zone, or the word now."""
        return self._scalar(
            name,
            (_STR, _TIME),
            lambda text: now if text == "now" else read_moment(text),
            _MISSING,
            otherwise=now,
        )

    def mapping(self, name: str, *, required: bool = False) -> "Mapping | None":
        """A nested mapping, None where it is absent."""
        node = self._take(name)
        if node is None:
            if required:
                self._absent(name)
            return None
        return Mapping(self.problems, node, f"{self.where}, {name}")

    def items(self, name: str, label: str | None = None) -> Iterator["Mapping"]:
        """The mappings of a list. In problems each is named by its `label`, or else by its place."""
        node = self._take(name)
        if node is None or node.tag == _NULL:
            return
        if not isinstance(node, yaml.SequenceNode):
            self.problems.add(node, name, "must be a list")
            return
        for place, item in enumerate(node.value, start=1):
            yield Mapping(self.problems, item, f"{name}, {_label_of(item, label) or place}")

    def texts(self, name: str) -> list[tuple[str, int]]:
        """A list of texts with their lines."""
        node = self._take(name)
        if node is None:
            self._absent(name)
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.problems.add(node, self.where, f"`{name}` must be a list")
            return []
        found = []
        for item in node.value:
            if not isinstance(item, yaml.ScalarNode) or item.tag != _STR or not item.value.isprintable():
                self.problems.add(item, self.where, f"`{name}` must be a list of names; put names in quotes")
            else:
                found.append((item.value, item.start_mark.line + 1))
        return found

    def complain(self, name: str, reason: str) -> None:
        """Note a problem at a key's value."""
        self.problems.add(self._values.get(name, self.node), self.where, f"`{name}` {reason}")

    def _take(self, name: str) -> yaml.Node | None:
        self._untaken.pop(name, None)
        return self._values.get(name)

    def _absent(self, name: str) -> None:
        if isinstance(self.node, yaml.MappingNode):
            self.problems.add(self.node, self.where, f"`{name}` is missing")

    def _scalar(
        self, name: str, tags: tuple[str, ...], read: Callable[[str], T], default: Any, *, otherwise: T
    ) -> T:
        node = self._take(name)
        if node is None or (node.tag == _NULL and default is not _MISSING):
            if default is _MISSING:
                self._absent(name)
                return otherwise
            return default
        if not isinstance(node, yaml.ScalarNode):
            self.complain(name, "must be a single value")
            return otherwise
        if node.tag not in tags:
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            hint = "; put it in quotes" if _STR in tags else ""
            self.complain(name, f"is a {kind} ({node.value}) where another kind of value belongs{hint}")
            return otherwise
        try:
            return read(node.value)
        except ValueError as wrong:
            self.complain(name, str(wrong))
            return otherwise


def read_whole(text: str, low: int, high: int) -> int:
    """A whole number within bounds; ValueError otherwise."""
    if not _WHOLE.match(text) or not low <= int(text) <= high:
        raise ValueError(f"must be a whole number from {low} to {high}, not {text}")
    return int(text)


def read_decimal(text: str, *, decimals: int, low: int = 0) -> Decimal:
    """A plain decimal number; ValueError otherwise."""
    if not _DECIMAL.match(text):
        raise ValueError(f"must be a plain decimal number, not {text}")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"must be a decimal number, not {text}") from None
    if value < low:
        raise ValueError(f"cannot be less than {low}: {text}")
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > decimals:
        raise ValueError(f"has more than {decimals} decimals: {text}")
    return value


def read_moment(text: str) -> datetime:
    """A date or a time with a zone, in UTC; ValueError otherwise."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"must be a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z, not {text}"
        ) from None
    if moment.tzinfo is None:
        raise ValueError(f"needs a time zone, for example {text}Z")
    return moment.astimezone(UTC)


def _label_of(node: yaml.Node, label: str | None) -> str:
    if label and isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if getattr(key, "value", None) == label and isinstance(value, yaml.ScalarNode):
                return value.value[:80]
    return ""
