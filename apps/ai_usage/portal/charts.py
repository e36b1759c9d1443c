"""Usage over time as a chart: one column for each stretch, a series for each of the dearest groups."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.urls import reverse

from apps.ai_usage.insight.types import Grouping, UsageReport, UsageRow
from apps.ai_usage.portal.periods import Choice, address, bucket_label, buckets, written
from apps.ai_usage.portal.words import class_label
from apps.money import EXACT, ZERO

SERIES = 5
_REST = "Others"
_POINT = {Grouping.HOUR: "Hour", Grouping.DAY: "Day", Grouping.MONTH: "Month"}


def spend_chart(
    report: UsageReport,
    choice: Choice,
    by: Grouping,
    *,
    currency: str,
    now: datetime,
    names: Mapping[str, Mapping[Any, str]],
    kept: Mapping[str, str],
    title: str = "Spend over time",
) -> dict[str, Any]:
    """A chart of a report that is grouped by the choice's bucket and by one more thing.

    A column leads to the same usage within its stretch of time, with the parameters `kept`.
    """
    values: dict[tuple[datetime, str], Decimal] = {}
    totals: dict[str, Decimal] = {}
    for row in report.rows:
        if row.consumed.currency != currency:
            continue
        series = _REST if row.is_rest else group_name(row, by, names)
        place = row.group[choice.bucket.value], series
        values[place] = EXACT.add(values.get(place, ZERO), row.consumed.price)
        totals[series] = EXACT.add(totals.get(series, ZERO), row.consumed.price)
    ordered = sorted(totals, key=lambda series: (series == _REST, -totals[series], series))
    return {
        "title": title,
        "unit": "money",
        "currency": currency,
        "series": ordered,
        "point_name": _POINT[choice.bucket],
        "points": [
            _point(choice, begins, ends, [values.get((begins, series), ZERO) for series in ordered], kept)
            for begins, ends in buckets(choice, now)
        ],
    }


def _point(
    choice: Choice, begins: datetime, ends: datetime, values: Sequence[Decimal], kept: Mapping[str, str]
) -> dict[str, Any]:
    label, title = bucket_label(begins, choice.bucket)
    point: dict[str, Any] = {"label": label, "title": title, "values": values}
    if choice.bucket is not Grouping.HOUR and any(values):
        bounds = {"from": written(begins), "to": written(ends)}
        point["url"] = address(reverse("ai_usage:usage"), dict(kept) | bounds)
    return point


def group_name(row: UsageRow, by: Grouping, names: Mapping[str, Mapping[Any, str]]) -> str:
    """What a row's group is called on a page."""
    value = row.group[by.value]
    if by is Grouping.CLASS:
        return class_label(value)
    if by in (Grouping.KEY, Grouping.OWNER):
        return names.get(by.value, {}).get(value) or f"Deleted {by.value}"
    return str(value)
