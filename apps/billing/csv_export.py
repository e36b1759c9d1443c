"""An invoice's lines as CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable

from apps.billing.types import LineItem

_COLUMNS = (
    "position",
    "kind",
    "description",
    "start",
    "end",
    "model",
    "quantity_class",
    "quantity",
    "price_per_million",
    "price_id",
    "amount",
    "amount_minor",
    "currency",
)
# What makes a spreadsheet take a cell for a formula. Numbers may begin with a minus.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def lines_as_csv(lines: Iterable[LineItem], currency: str) -> str:
    """One row per line, exact amounts as plain decimals."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for line in lines:
        writer.writerow(
            [
                line.position,
                line.kind.value,
                _text(line.description),
                line.starts_at.isoformat(),
                line.ends_at.isoformat(),
                _text(line.model),
                line.quantity_class,
                "" if line.quantity is None else line.quantity,
                "" if line.price_per_million is None else f"{line.price_per_million:f}",
                line.price_id or "",
                f"{line.amount:f}",
                line.amount_minor,
                currency,
            ]
        )
    return out.getvalue()


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(_DANGEROUS) else value
