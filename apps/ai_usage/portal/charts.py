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
    with_calls: bool,
    title: str = "Spend over time",
) -> dict[str, Any]:
    """A chart of a report that is grouped by the choice's bucket and by one more thing.

    A month or day leads to the same usage within it, with the parameters `kept`; an hour to its calls.
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
            _point(choice, begins, [values.get((begins, series), ZERO) for series in ordered])
            | _leads_to(choice, begins, ends, kept, with_calls)
            for begins, ends in buckets(choice, now)
        ],
    }


def _point(choice: Choice, begins: datetime, values: Sequence[Decimal]) -> dict[str, Any]:
    label, title = bucket_label(begins, choice.bucket)
    return {"label": label, "title": title, "values": values}


def _leads_to(
    choice: Choice, begins: datetime, ends: datetime, kept: Mapping[str, str], with_calls: bool
) -> dict[str, str]:
    bounds = {"from": written(begins), "to": written(ends)}
    if choice.bucket is not Grouping.HOUR:
        return {"url": address(reverse("ai_usage:usage"), dict(kept) | bounds)}
    if not with_calls:
        return {}
    narrowed = {name: value for name, value in kept.items() if name != "by"}
    return {"url": address(reverse("ai_usage:calls"), narrowed | bounds)}


def group_name(row: UsageRow, by: Grouping, names: Mapping[str, Mapping[Any, str]]) -> str:
    """What a row's group is called on a page."""
    value = row.group[by.value]
    if by is Grouping.CLASS:
        return class_label(value)
    if by in (Grouping.KEY, Grouping.OWNER):
        return names.get(by.value, {}).get(value) or f"Deleted {by.value}"
    return str(value)
