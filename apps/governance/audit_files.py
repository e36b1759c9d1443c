"""Audit entries as files: CSV that a spreadsheet opens without running anything in it, and lines of JSON."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

COLUMNS = (
    "sequence", "at", "action", "actor_kind", "actor_id", "actor_name", "target_kind", "target_id", "details",
    "request_id", "address", "hash", "previous_hash",
)  # fmt: skip
# What makes a spreadsheet take a cell for a formula, also after blanks and behind a byte order mark.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "|", "%")


def as_csv(pieces: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    """A header line, and a line an entry."""
    yield _lines([COLUMNS])
    for piece in pieces:
        yield _lines(_row(entry) for entry in piece)


def as_jsonl(pieces: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    """A line an entry, in the form in which endpoints are told."""
    for piece in pieces:
        yield b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in piece)


def _row(entry: dict[str, Any]) -> list[str]:
    actor, target = entry["actor"], entry["target"]
    values = (
        entry["sequence"], entry["at"], entry["action"], actor["kind"], actor["id"], actor["name"], target["kind"],
        target["id"], orjson.dumps(entry["details"], option=orjson.OPT_SORT_KEYS).decode(), entry["request_id"],
        entry["address"], entry["hash"], entry["previous_hash"],
    )  # fmt: skip
    return [_harmless(str(value)) for value in values]


def _harmless(text: str) -> str:
    bare = text.lstrip(" \ufeff\u00a0")
    return f"'{text}" if bare.startswith(_DANGEROUS) else text


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
