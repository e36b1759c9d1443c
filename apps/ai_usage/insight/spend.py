"""This month's spend against the tightest limit on it."""

from datetime import datetime, timedelta
from decimal import Decimal

from apps.ai_usage.insight.types import Consumed, Grouping, MonthSpend, Period, UsageReport, whole_hour
from apps.ai_usage.insight.usage import usage
from apps.governance.standing_budgets import standing_budgets


def month_spend(now: datetime, currency: str, this_month: Consumed | None = None) -> MonthSpend:
    """Where the running month stands. `this_month` is its sum, where the caller has it already."""
    month = Period.month_of(now)
    spent = this_month or month_by_model(now).total(currency)
    budgets = [each for each in standing_budgets(now) if each.is_hard and each.name.endswith("_per_month")]
    tightest = budgets[0] if budgets else None
    return MonthSpend(
        currency=currency,
        amount=spent.price,
        amount_before=_same_stretch_before(now, month, currency),
        limit=tightest.limit if tightest else None,
        reserved=tightest.reserved if tightest else None,
        starts_at=month.starts_at,
        ends_at=month.ends_at,
    )


def month_by_model(now: datetime, most: int | None = None) -> UsageReport:
    """The running month's usage by model."""
    return usage(Period.month_of(now), group_by=[Grouping.MODEL], most_groups=most)


def _same_stretch_before(now: datetime, month: Period, currency: str) -> Decimal:
    before = Period.month_of(month.starts_at - timedelta(days=1))
    elapsed = whole_hour(now) - month.starts_at
    ends = min(before.starts_at + elapsed, before.ends_at)
    if ends <= before.starts_at:
        return Consumed(currency).price
    return usage(Period(before.starts_at, ends)).total(currency).price
