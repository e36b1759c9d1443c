"""Usage in detail: over time and by whom or what, with the figures that the invoice is made of."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from apps.ai_usage.insight.naming import names_in
from apps.ai_usage.insight.snapshot import one_moment
from apps.ai_usage.insight.types import Consumed, Grouping, UsageFilter, UsageReport, UsageRow
from apps.ai_usage.insight.usage import usage
from apps.ai_usage.portal.charts import SERIES, group_name, spend_chart
from apps.ai_usage.portal.csv_export import csv_answer
from apps.ai_usage.portal.filters import key_filter, model_filter, owner_filter, select, uuid_of
from apps.ai_usage.portal.periods import CUSTOM, address, chosen, options
from apps.ai_usage.quantities import DISJOINT_CLASSES, QuantityClass
from apps.governance.gates import EveryPlan
from apps.governance.selectors import entitlements
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_PERIODS = ("24h", "7d", "30d", "month", "last_month", "year")
_TABS = {Grouping.MODEL: "Model", Grouping.KEY: "Key", Grouping.OWNER: "Owner", Grouping.CLASS: "Kind"}
_MOST_ROWS = 100
_SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "name": lambda row: str(row["name"]).lower(),
    **{
        name: lambda row, name=name: row[name]  # type: ignore[misc]
        for name in ("calls", "input_tokens", "cached_tokens", "output_tokens", "price")
    },
}


class _Asked:
    """What a request for usage asks."""

    def __init__(self, request: "PortalRequest", now: datetime) -> None:
        query = request.GET
        by = query.get("by", "")
        self.by = Grouping(by) if by in [str(each) for each in _TABS] else Grouping.MODEL
        self.choice = chosen(query, _PERIODS, "30d", now)
        self.only = UsageFilter(
            model=query.get("model", "")[:120],
            key_id=uuid_of(query.get("key", "")),
            owner_id=uuid_of(query.get("owner", "")),
        )
        sort = query.get("sort", "")
        self.sort = sort if sort.lstrip("-") in _SORTS else "-price"

    def narrowed(self) -> dict[str, str]:
        """The filters as they stand in an address."""
        only = self.only
        return {"model": only.model, "key": str(only.key_id or ""), "owner": str(only.owner_id or "")}

    def parameters(self) -> dict[str, str]:
        """Everything that is asked, as it stands in an address."""
        return {"by": self.by.value} | self.choice.parameters() | self.narrowed()


_EVERY_PLAN = EveryPlan("whoever pays may see for what")


@portal_view(scopes="usage:read", feature=_EVERY_PLAN)
def usage_page(request: "PortalRequest") -> HttpResponse:
    """Usage over a period, exact up to the last call that ended."""
    now, currency = timezone.now(), entitlements().currency
    asked = _Asked(request, now)
    period, only = asked.choice.period, asked.only
    with one_moment():
        report = usage(period, group_by=[asked.by], only=only, most_groups=_MOST_ROWS)
        series = usage(period, group_by=[asked.choice.bucket, asked.by], only=only, most_groups=SERIES)
    if report.totals and currency not in {total.currency for total in report.totals}:
        currency = report.totals[0].currency
    names = names_in(report)
    here = reverse("ai_usage:usage")
    return render(
        request,
        "ai_usage/usage.html",
        {
            "tabs": _tabs(asked, here),
            "filters": _filters(asked),
            "reset_url": address(here, {"by": asked.by.value}) if any(asked.narrowed().values()) else "",
            "sort": asked.sort,
            "by": asked.by.value,
            "group_label": _TABS[asked.by],
            "usage_chart": spend_chart(
                series,
                asked.choice,
                asked.by,
                currency=currency,
                now=now,
                names=names,
                kept={"by": asked.by.value} | asked.narrowed(),
                with_calls="calls:read" in request.member.scopes,
            ),
            "rows": _rows(report, asked, names, currency),
            "totals": _figures(report.total(currency)),
            "other_totals": [total for total in report.totals if total.currency != currency],
            "currency": currency,
            "export_url": address(reverse("ai_usage:usage-csv"), asked.parameters()) if report.rows else "",
        },
    )


@portal_view(scopes="usage:read", feature="exports")
def usage_csv(request: "PortalRequest") -> HttpResponse:
    """The same usage as a table: a row for each stretch of time and group, a column for each class."""
    asked = _Asked(request, timezone.now())
    bucket = asked.choice.bucket
    grouping = [bucket, asked.by]
    with one_moment():
        report = usage(asked.choice.period, group_by=grouping, only=asked.only)
    names = names_in(report)
    classes = [str(each) for each in (*DISJOINT_CLASSES, QuantityClass.REASONING)]
    period = asked.choice.period
    return csv_answer(
        f"usage-by-{asked.by}-{period.starts_at:%Y-%m-%d}-to-{period.ends_at:%Y-%m-%d}.csv",
        [str(bucket), f"{asked.by}_id", str(asked.by), "calls", *classes, "price", "currency"],
        (
            [
                row.group[bucket.value],
                "" if asked.by in (Grouping.MODEL, Grouping.CLASS) else str(row.group[asked.by.value] or ""),
                group_name(row, asked.by, names),
                row.consumed.calls,
                *(row.consumed.quantities.get(each, 0) for each in classes),
                row.consumed.price,
                row.consumed.currency,
            ]
            for row in report.rows
        ),
    )


def _tabs(asked: _Asked, here: str) -> list[dict[str, Any]]:
    return [
        {
            "label": f"By {label.lower()}",
            "url": address(here, asked.parameters() | {"by": by.value}),
            "current": by is asked.by,
        }
        for by, label in _TABS.items()
    ]


def _filters(asked: _Asked) -> list[dict[str, Any]]:
    hidden = [{"kind": "hidden", "name": "by", "value": asked.by.value}]
    if asked.choice.word == CUSTOM:
        bounds = asked.choice.parameters()
        hidden += [{"kind": "hidden", "name": name, "value": value} for name, value in bounds.items()]
    return [
        *hidden,
        select("period", "Period", asked.choice.word, options(asked.choice, _PERIODS)),
        model_filter(asked.only.model),
        key_filter(asked.only.key_id),
        *owner_filter(asked.only.owner_id),
    ]


def _rows(
    report: UsageReport, asked: _Asked, names: Mapping[str, Mapping[Any, str]], currency: str
) -> list[dict[str, Any]]:
    shown = [row for row in report.rows if row.consumed.currency == currency]
    rows = [_row(row, asked, names) for row in shown if not row.is_rest]
    rows.sort(key=_SORTS[asked.sort.lstrip("-")], reverse=asked.sort.startswith("-"))
    rest = [{"name": "Others"} | _figures(row.consumed) for row in shown if row.is_rest]
    return rows + rest


def _row(row: UsageRow, asked: _Asked, names: Mapping[str, Mapping[Any, str]]) -> dict[str, Any]:
    by, value = asked.by, row.group[asked.by.value]
    found = {"name": group_name(row, by, names)} | _figures(row.consumed)
    if by is Grouping.CLASS:
        return found | {"quantity": row.consumed.quantities.get(value, 0)}
    if value:
        # One model leads to its keys, a key or an owner to its models.
        following = Grouping.KEY if by is Grouping.MODEL else Grouping.MODEL
        narrowed = asked.parameters() | {by.value: value, "by": following.value}
        found["url"] = address(reverse("ai_usage:usage"), narrowed)
    return found


def _figures(consumed: Consumed) -> dict[str, Any]:
    return {
        "calls": consumed.calls,
        "input_tokens": consumed.input_tokens,
        "cached_tokens": consumed.cached_tokens,
        "output_tokens": consumed.output_tokens,
        "price": consumed.price,
    }
