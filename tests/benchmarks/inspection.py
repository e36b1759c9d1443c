"""What inspecting 8 KB costs: `python -m tests.benchmarks.inspection`. Every class is looked for, in one process."""

import statistics
import time

import orjson

from apps.governance.data_boundary.classes import DataClass, Direction
from apps.governance.data_boundary.inspecting import check_unambiguous, inspect_body
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.redaction import Redactor

GOAL_MS = 2.0
_SIZE = 8 * 1024
_PROSE = (
    "The customer wrote on 24 November that the second delivery (12 boxes, 3,500 EUR) had not arrived; we answered "
    "within two hours, see ticket 88213. Please sum up what was agreed, in order, and say what is still open.\n"
)
_RECORDS = '{"id": 12345, "at": "2026-11-24T10:00:00Z", "values": [1.5, 2.25, 300], "name": "order-88213"}\n'
TEXTS = {
    "8 KB of prose inspected": _PROSE,
    "8 KB of prose inspected, with ten values": _PROSE,
    "8 KB of records inspected": _RECORDS,
}


def body(text: str, values: int) -> bytes:
    """A chat completion of 8 KB."""
    said = (text * (_SIZE // len(text) + 1))[: _SIZE - 400]
    said += "".join(f" person{number}@example.com" for number in range(values))
    return orjson.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}]})


def p50(raw: bytes, rounds: int = 500) -> float:
    """Milliseconds of one inspection, as the gateway does it: read, look, and write where something changed."""
    boundary = Boundary.from_json({"request": dict.fromkeys(DataClass, "redact")})
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        check_unambiguous(raw)
        parsed = orjson.loads(raw)
        if inspect_body(parsed, boundary, Redactor(restores=True), Direction.REQUEST):
            orjson.dumps(parsed)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main() -> None:
    """Measure each text."""
    for name, text in TEXTS.items():
        found = p50(body(text, 10 if "values" in name else 0))
        print(f"{name}: {found:.2f} ms p50 (goal {GOAL_MS} ms){'' if found <= GOAL_MS else ' MISSED'}")


if __name__ == "__main__":
    main()
