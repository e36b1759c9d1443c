"""What operators see of usage at a glance, from the daily sums."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone

from apps.ai_usage.models import TenantDaily
from apps.tenancy.selectors import all_tenants
from apps.tenancy.types import TenantState

_MOST = 12
_ZERO = Decimal(0)


def spend_this_month(tenant_ids: Sequence[UUID]) -> dict[UUID, str]:
    """What each tenant's calls came to since the month began, in its currency."""
    rows = (
        TenantDaily.objects.filter(tenant_id__in=tenant_ids, day__gte=_month())
        .values("tenant_id", "currency")
        .annotate(price=Sum("price"))
    )
    return {row["tenant_id"]: f"{row['price']:.2f} {row['currency']}" for row in rows}


def month_panel(request: HttpRequest) -> dict[str, Any]:
    """Revenue, cost and margin of this month: in all, per currency, and of the tenants that bring in most."""
    rows = (
        TenantDaily.objects.filter(day__gte=_month())
        .values("tenant_id", "currency")
        .annotate(
            calls=Sum("calls"),
            price=Sum("price"),
            cost=Sum("cost"),
            tokens_in=Sum("input_tokens"),
            tokens_out=Sum("output_tokens"),
        )
        .order_by("-price")
    )
    named = {tenant.id: tenant.slug for tenant in all_tenants(*TenantState)}
    lines = [
        _line(row) | {"slug": named.get(row["tenant_id"], "erased"), "id": row["tenant_id"]} for row in rows
    ]
    return {
        "since": _month(),
        "totals": _totals(lines),
        "lines": lines[:_MOST],
        "others": max(len(lines) - _MOST, 0),
    }


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    margin = row["price"] - row["cost"]
    return {
        "currency": row["currency"],
        "revenue": row["price"],
        "cost": row["cost"],
        "margin": margin,
        "margin_share": margin / row["price"] if row["price"] else None,
        "calls": row["calls"],
        "tokens": row["tokens_in"] + row["tokens_out"],
    }


def _totals(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Currencies are never added up with each other."""
    totals: dict[str, dict[str, Any]] = {}
    for line in lines:
        total = totals.setdefault(
            line["currency"],
            {"currency": line["currency"], "calls": 0, "revenue": _ZERO, "cost": _ZERO, "tokens": 0},
        )
        for name in ("calls", "revenue", "cost", "tokens"):
            total[name] += line[name]
    for total in totals.values():
        total["margin"] = total["revenue"] - total["cost"]
    return sorted(totals.values(), key=lambda total: str(total["currency"]))


def _month() -> date:
    return timezone.now().date().replace(day=1)
