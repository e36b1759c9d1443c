"""The tenant's first page."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from apps.ai_usage.insight.calls import any_calls, calls
from apps.ai_usage.insight.health import MOST_CALLS, recent_health
from apps.ai_usage.insight.snapshot import one_moment
from apps.ai_usage.insight.spend import month_by_model, month_spend
from apps.ai_usage.insight.types import Grouping, MonthSpend, Period, UsageReport
from apps.ai_usage.insight.usage import usage
from apps.ai_usage.portal.charts import SERIES, spend_chart
from apps.ai_usage.portal.first_run import first_run
from apps.ai_usage.portal.periods import Choice, address, chosen
from apps.ai_usage.portal.rows import call_rows
from apps.governance.gates import EveryPlan
from apps.governance.selectors import entitlements
from apps.identity.services import portal_view
from apps.keys.selectors import key_names

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_SPANS = ("30d", "24h")
_TOP = 5
_RECENT = 8


@portal_view(scopes="usage:read", feature=EveryPlan("the first page, with what a tenant used"))
def overview(request: "PortalRequest") -> HttpResponse:
    """What was spent this month, on what, and how well it went; or how to make the first call."""
    now = timezone.now()
    with one_moment():
        context = _filled(request, now) if any_calls() else _empty(request, now)
    return render(request, "ai_usage/overview.html", context)


def _empty(request: "PortalRequest", now: datetime) -> dict[str, Any]:
    entitled = entitlements()
    return {
        "spend": _spend(month_spend(now, entitled.currency)),
        "first_run": first_run(request, entitled),
    }


def _filled(request: "PortalRequest", now: datetime) -> dict[str, Any]:
    currency = entitlements().currency
    month = month_by_model(now, most=_TOP)
    whole = month.total(currency)
    keys = usage(Period.month_of(now), group_by=[Grouping.KEY], most_groups=_TOP)
    choice = chosen(request.GET, _SPANS, _SPANS[0], now)
    series = usage(choice.period, group_by=[choice.bucket, Grouping.MODEL], most_groups=SERIES)
    recent = calls(limit=_RECENT) if "calls:read" in request.member.scopes else None
    named = {row.group["key"] for row in keys.rows} | {call.key_id for call in recent or ()}
    names = key_names(each for each in named if each)
    usage_url = reverse("ai_usage:usage")
    return {
        "period": {"label": f"{now:%B %Y}"},
        "spend": _spend(month_spend(now, currency, whole)),
        "spend_chart": spend_chart(
            series,
            choice,
            Grouping.MODEL,
            currency=currency,
            now=now,
            names={},
            kept={"by": "model"},
            with_calls=recent is not None,
        ),
        "spans": _spans(choice),
        "month": whole,
        "health": recent_health(now),
        "health_sample": MOST_CALLS,
        "top_models": _top(month, Grouping.MODEL, currency, {}),
        "top_keys": _top(keys, Grouping.KEY, currency, names),
        "recent_calls": None if recent is None else call_rows(recent, names),
        "first_run": None,
        "urls": {
            "calls": reverse("ai_usage:calls"),
            "usage": usage_url,
            "keys": address(usage_url, {"by": "key", "period": "month"}),
        },
    }


def _spend(month: MonthSpend) -> dict[str, Any]:
    return {
        "amount": month.amount,
        "currency": month.currency,
        "limit": month.limit,
        "reserved": month.reserved or Decimal(0),
        "resets_at": month.ends_at,
        "delta": _delta(month),
    }


def _delta(month: MonthSpend) -> dict[str, Any] | None:
    """How this month compares with the same stretch of the one before; nothing where there was none."""
    before = month.amount_before
    if not before:
        return None
    change = month.amount - before
    direction = "up" if change > 0 else "down" if change < 0 else "same"
    ratio = abs(change) / before
    # Beyond a thousandfold the ratio says nothing any more.
    if ratio > 1000:
        return None
    return {
        "ratio": ratio,
        "direction": direction,
        "tone": "quiet",
        "words": "against the same days of last month",
    }


def _spans(choice: Choice) -> list[dict[str, Any]]:
    here = reverse("ai_usage:overview")
    labels = {"30d": "30 days", "24h": "24 hours"}
    return [
        {
            "label": labels[word],
            "url": address(here, {"period": "" if word == _SPANS[0] else word}),
            "current": word == choice.word,
        }
        for word in _SPANS
    ]


def _top(report: UsageReport, by: Grouping, currency: str, names: Mapping[Any, str]) -> list[dict[str, Any]]:
    usage_url = reverse("ai_usage:usage")
    found = []
    for row in report.rows:
        if row.is_rest or row.consumed.currency != currency:
            continue
        value = row.group[by.value]
        name = value if by is Grouping.MODEL else names.get(value) or "Deleted key"
        found.append(
            {
                "name": name,
                "url": address(usage_url, {by.value: value, "period": "month"}),
                "calls": row.consumed.calls,
                "tokens": row.consumed.tokens,
                "price": row.consumed.price,
            }
        )
    return found
