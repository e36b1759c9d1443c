"""Inspecting a whole body: all its texts at once, and what has to change in it."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from apps.governance.data_boundary.classes import Direction, Finding
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.redaction import Decoded, Redactor, decoded, looks_escaped
from apps.governance.data_boundary.scanning import Scanner
from apps.governance.data_boundary.texts import pieces_of

# Between two texts: no value goes across it.
_SEPARATOR: Final = "\n\x00\n"


class Ambiguous(Exception):
    """An object of the body has a member twice, and whoever reads it next may read the other one."""


def inspect_body(
    parsed: Any,
    boundary: Boundary,
    redactor: Redactor,
    direction: Direction,
    *,
    deadline: float | None = None,
) -> bool:
    """Look through the texts of a body, and change in place what is redacted or restored; whether any changed.

    Blocked where the policy blocks what was found; OutOfTime past the deadline. What was found is counted in any case.
    """
    scanner = boundary.request_scanner if direction is Direction.REQUEST else boundary.response_scanner
    restores = direction is Direction.RESPONSE and redactor.restorable
    if scanner is None and not restores:
        return False
    pieces = list(pieces_of(parsed))
    views = [
        decoded(piece.text) if piece.is_json or looks_escaped(piece.text) else Decoded(piece.text, None)
        for piece in pieces
    ]
    found = findings_of(views, scanner, deadline) if scanner is not None else {}
    actions = boundary.actions(direction)
    everything = [each for findings in found.values() for each in findings]
    redactor.note(everything, direction)
    redactor.check(everything, actions)
    if direction is Direction.REQUEST and found:
        redactor.reserve(piece.text for piece in pieces)
    touched = range(len(pieces)) if restores else sorted(found)
    changed = False
    for index in touched:
        piece = pieces[index]
        text = redactor.rewrite(
            views[index], piece.text, found.get(index, ()), actions, direction, is_json=piece.is_json
        )
        if text != piece.text:
            piece.holder[piece.key] = text
            changed = True
    return changed


def findings_of(
    views: Sequence[Decoded], scanner: Scanner, deadline: float | None
) -> dict[int, list[Finding]]:
    """What stands in each of several texts, looked for in all of them in one go."""
    starts: list[int] = []
    position = 0
    for view in views:
        starts.append(position)
        position += len(view.text) + len(_SEPARATOR)
    found: dict[int, list[Finding]] = {}
    for each in scanner.scan(_SEPARATOR.join([view.text for view in views]), deadline=deadline):
        index = bisect_right(starts, each.start) - 1
        last = bisect_right(starts, max(each.start, each.end - 1)) - 1
        # A private key without its end goes on to the next one's text at most.
        for place in range(index, last + 1):
            begin = max(0, each.start - starts[place])
            end = min(each.end - starts[place], len(views[place].text))
            if begin < end:
                found.setdefault(place, []).append(Finding(begin, end, each.kind))
    return found


def check_unambiguous(body: bytes) -> None:
    """Ambiguous where an object has one member twice: a reader may take the one that nobody looked at."""
    try:
        json.loads(body, object_pairs_hook=_once)
    except RecursionError:
        raise Ambiguous from None


def _once(members: list[tuple[str, Any]]) -> None:
    if len(members) > 1 and len({name for name, _ in members}) != len(members):
        raise Ambiguous
