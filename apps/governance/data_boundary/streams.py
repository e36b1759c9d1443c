"""Texts that come in pieces: held back for as long as a value may still be growing, and never beyond a window."""

import re
from typing import Final

from apps.governance.data_boundary.classes import Direction, Finding
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.redaction import Decoded, Redactor, decoded, within_string

# Where a word ends. Scripts without spaces end one at every character, since no value is written in them.
_ENDS_WORD: Final = re.compile(r"[\s\u2e80-\U0010ffff]")
_BEFORE: Final = 64
_REST_OF_WORD: Final = re.compile(r"[A-Za-z0-9_\-.+/=~]*")
_END_OF_BLOCK: Final = re.compile(
    r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,8}-----|Private-MAC: ?[0-9a-f]+"
)
_LONGEST_END: Final = 64


class Channel:
    """One text of an answer as it grows: one choice's words, or one tool call's arguments.

    A word is let go when the next one shows that no value goes on, so ordinary text is late by a word. Digits with
    spaces between them, and what may be the beginning of a private key, are kept together. At most `window` characters
    are ever held back.
    """

    __slots__ = (
        "_before", "_boundary", "_held", "_is_json", "_quoted", "_redactor", "_swallows", "_window",
    )  # fmt: skip

    def __init__(self, boundary: Boundary, redactor: Redactor, window: int, *, is_json: bool = False) -> None:
        self._boundary = boundary
        self._redactor = redactor
        self._window = window
        self._is_json = is_json
        self._held = ""
        self._before = ""
        self._quoted = False
        # What is dropped until it ends: the rest of a value whose beginning has been replaced.
        self._swallows: re.Pattern[str] | None = None

    def feed(self, piece: str) -> str:
        """Take a piece; return what may be shown now. Blocked where the policy blocks what was found."""
        self._held += piece
        return self._pass(is_last=False)

    def finish(self) -> str:
        """The text has ended; return the rest of it."""
        return self._pass(is_last=True)

    def unseen(self) -> str:
        """What is held back, as it came: for a stream that goes on without being inspected."""
        held, self._held = self._held, ""
        return held

    def _pass(self, *, is_last: bool) -> str:
        if self._swallows is not None and not self._swallow(is_last):
            return ""
        held = self._held
        if not held:
            return ""
        view = decoded(held) if self._is_json else Decoded(held, None)
        text = view.text
        scanner = self._boundary.response_scanner
        found = scanner.scan(text, before=self._before) if scanner is not None else []
        cut, forced = (len(text), False) if is_last else self._cut(text)
        taken: list[Finding] = []
        for each in found:
            if each.start >= cut:
                break
            if each.end > cut or (each.open and not is_last):
                if len(text) - each.start <= self._window and not is_last and not each.open:
                    cut = each.start
                    break
                cut = each.end
            taken.append(each)
            if each.end == len(text) and not is_last and (forced or each.open):
                self._swallows = _END_OF_BLOCK if each.open else _REST_OF_WORD
        return self._release(view, held, cut, taken)

    def _release(self, view: Decoded, held: str, cut: int, taken: list[Finding]) -> str:
        actions = self._boundary.response
        direction = Direction.RESPONSE
        self._redactor.note(taken, direction)
        self._redactor.check(taken, actions)
        end = len(held) if cut == len(view.text) else view.raw(cut)
        raw = held[:end]
        self._held = held[end:]
        self._before = (self._before + view.text[:cut])[-_BEFORE:]
        shown = self._redactor.rewrite(
            view, raw, taken, actions, direction, is_json=self._is_json, quoted=self._quoted
        )
        if self._is_json:
            self._quoted = within_string(raw, self._quoted)
        return shown

    def _swallow(self, is_last: bool) -> bool:
        """Drop what belongs to a value already replaced; whether that has come to its end."""
        pattern = self._swallows
        assert pattern is not None
        if pattern is _END_OF_BLOCK:
            end = pattern.search(self._held)
            if end is None:
                # Only its last characters may belong to the line that ends it.
                self._held = "" if is_last else self._held[-_LONGEST_END:]
                return False
            self._held = self._held[end.end() :]
        else:
            rest = pattern.match(self._held)
            self._held = self._held[rest.end() :] if rest else self._held
            if not self._held:
                return False
        self._swallows = None
        return True

    def _cut(self, text: str) -> tuple[int, bool]:
        """How far a text may go on, and whether only because the window is full."""
        lowest = max(0, len(text) - self._window)
        start = _word_before(text, len(text), lowest)
        position = start
        while position > lowest:
            space = position - 1
            if text[space] not in " \u00a0":
                break
            if space > lowest and text[space - 1] in " \u00a0":
                space -= 1
            word_at = _word_before(text, space, lowest)
            word = text[word_at:space]
            if not word or not _may_go_on(word):
                break
            position = start = word_at
        block = text.rfind("-----BEGIN", lowest)
        if block >= 0 and text.find("-----", block + 10) < 0:
            start = min(start, block)
        forced = start <= lowest and lowest > 0
        return (lowest if forced else start), forced


def _word_before(text: str, end: int, lowest: int) -> int:
    while end > lowest and not _ENDS_WORD.match(text, end - 1):
        end -= 1
    return end


def _may_go_on(word: str) -> bool:
    """Whether a value may have this word in it and go on after a space: digits, a country's code, a bracket."""
    return any(map(str.isdigit, word)) or word in ("+", "(") or (len(word) in (2, 3) and word.isupper())
