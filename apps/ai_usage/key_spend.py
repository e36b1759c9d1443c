"""What each key was charged, for the pages of the keys app, which knows this function by a setting."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.utils import timezone

from apps.ai_usage.insight.types import Grouping, Period, UsageFilter, whole_hour
from apps.ai_usage.insight.usage import usage


def spend_of_keys(key_ids: Iterable[UUID], *, since: datetime) -> dict[UUID, tuple[Decimal, str]]:
    """Price and currency by key, from the hour of `since` on. Keys without usage are not in it."""
    wanted = tuple(key_ids)
    if not wanted:
        return {}
    period = Period(whole_hour(since), whole_hour(timezone.now()) + timedelta(hours=1))
    report = usage(period, group_by=[Grouping.KEY], only=UsageFilter(key_ids=wanted))
    return {row.group["key"]: (row.consumed.price, row.consumed.currency) for row in report.rows}
