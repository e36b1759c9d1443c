"""Placeholders for what was found: the same for the same value within a call, and known to that call alone."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import orjson

from apps.governance.data_boundary.classes import Action, DataClass, Direction, Finding
from apps.governance.data_boundary.errors import Blocked
from apps.governance.data_boundary.policy import Actions

_PLACEHOLDER: Final = re.compile(r"\[[A-Z_]{3,20}_[0-9]{1,6}\]")
_QUOTES: Final = re.compile(r'\\.|"', re.DOTALL)
_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_SIMPLE: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Decoded(NamedTuple):
    """A text that is JSON itself, with its escapes read; `at` has the place in the raw text of each character."""

    text: str
    at: list[int] | None

    def raw(self, position: int) -> int:
        """Where a position of the decoded text is in the raw one."""
        return position if self.at is None else self.at[position]


def decoded(raw: str) -> Decoded:
    """Read JSON's escapes in a text."""
    if "\\" not in raw:
        return Decoded(raw, None)
    pieces: list[str] = []
    at: list[int] = []
    position = 0
    for escape in _ESCAPE.finditer(raw):
        start = escape.start()
        pieces.append(raw[position:start])
        at += range(position, start)
        code, simple = escape.groups()
        pieces.append(chr(int(code, 16)) if code else _SIMPLE[simple])
        at.append(start)
        position = escape.end()
    pieces.append(raw[position:])
    at += range(position, len(raw) + 1)
    return Decoded("".join(pieces), at)


def looks_escaped(text: str) -> bool:
    """Whether a text seems to be JSON within JSON, such as the result of a tool."""
    return "\\u00" in text or '\\"' in text or "\\n" in text


class Redactor:
    """One call's placeholders. Lives in memory for as long as the call does."""

    def __init__(self, *, restores: bool) -> None:
        self._restores = restores
        self._by_value: dict[tuple[DataClass, str], str] = {}
        self._values: dict[str, str] = {}
        self._numbers: Counter[DataClass] = Counter()
        self._taken: set[str] = set()
        self.found: dict[Direction, Counter[str]] = {
            Direction.REQUEST: Counter(),
            Direction.RESPONSE: Counter(),
        }

    @property
    def restorable(self) -> bool:
        """Whether an answer may hold a placeholder that is turned back."""
        return bool(self._values)

    def hide(self, text: str) -> str:
        """An answer as it was before values were put back into it, for whoever keeps it."""
        for made, value in sorted(self._values.items(), key=lambda each: -len(each[1])):
            for written in {value, _escaped(value), _escaped(_escaped(value))}:
                text = text.replace(written, made)
        return text

    def reserve(self, texts: Iterable[str]) -> None:
        """Leave alone what looks like a placeholder already: it is somebody else's."""
        for text in texts:
            if "[" in text:
                self._taken.update(_PLACEHOLDER.findall(text))

    def note(self, findings: Iterable[Finding], direction: Direction) -> None:
        """Count what was found."""
        self.found[direction].update(found.kind.value for found in findings)

    @staticmethod
    def check(findings: Iterable[Finding], actions: Actions) -> None:
        """Blocked where the policy blocks any of it."""
        blocked = {found.kind.value for found in findings if actions.get(found.kind) is Action.BLOCK}
        if blocked:
            raise Blocked(sorted(blocked))

    def placeholder(self, kind: DataClass, value: str, direction: Direction) -> str:
        """What stands for a value in this call."""
        known = self._by_value.get((kind, value))
        if known is not None:
            return known
        while True:
            self._numbers[kind] += 1
            made = f"[{kind.placeholder}_{self._numbers[kind]}]"
            if made not in self._taken:
                break
        self._by_value[kind, value] = made
        if self._restores and direction is Direction.REQUEST:
            self._values[made] = value
        return made

    def rewrite(
        self,
        view: Decoded,
        raw: str,
        findings: Iterable[Finding],
        actions: Actions,
        direction: Direction,
        *,
        is_json: bool = False,
        quoted: bool = False,
    ) -> str:
        """The raw text with placeholders for what is redacted and, in answers, values for known placeholders.

        In a text that is JSON itself, what is put in stays valid there: a bare number's placeholder is quoted.
        `quoted` says whether the text begins within a string.
        """
        edits = [
            (view.raw(found.start), view.raw(found.end), self._written(view, found, direction))
            for found in findings
            if actions.get(found.kind) is Action.REDACT
        ]
        if direction is Direction.RESPONSE and self._values and "[" in raw:
            for match in _PLACEHOLDER.finditer(raw):
                value = self._values.get(match.group())
                if value is not None:
                    edits.append(
                        (match.start(), match.end(), _literally(_escaped(value) if is_json else value))
                    )
        if not edits:
            return raw
        edits.sort(key=lambda edit: edit[0])
        pieces: list[str] = []
        position = 0
        for start, end, write in edits:
            if start < position:
                continue
            between = raw[position:start]
            pieces.append(between)
            if is_json:
                quoted = within_string(between, quoted)
            pieces.append(write(is_json and not quoted))
            position = end
        pieces.append(raw[position:])
        return "".join(pieces)

    def _written(self, view: Decoded, found: Finding, direction: Direction) -> Callable[[bool], str]:
        value = view.text[found.start : found.end]
        made = self.placeholder(found.kind, value, direction)
        return _literally(f'"{made}"', made) if value[0].isdigit() else _literally(made)


def _literally(text: str, within: str | None = None) -> Callable[[bool], str]:
    """What to write outside a string, and within one."""
    return lambda bare: text if bare or within is None else within


def within_string(text: str, quoted: bool) -> bool:
    """Whether the end of a piece of JSON is within a string, where its beginning is or is not."""
    for mark in _QUOTES.finditer(text):
        if mark.group() == '"':
            quoted = not quoted
    return quoted


def _escaped(value: str) -> str:
    return orjson.dumps(value)[1:-1].decode()
