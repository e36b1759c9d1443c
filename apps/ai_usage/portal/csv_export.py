"""Tables as CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpResponse

# What makes a spreadsheet take a cell for a formula; numbers of ours may begin with a minus.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_answer(filename: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A download. Text that somebody else chose is made harmless; numbers are plain and exact."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return HttpResponse(
        out.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)
