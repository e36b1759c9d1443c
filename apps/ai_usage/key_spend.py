"""What each key was charged, for the pages of the keys app, which learns of this function by a setting (KEY_SPEND)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Sum

from apps.ai_usage.models import UsageHourly


def spend_of_keys(key_ids: Iterable[UUID], *, since: datetime) -> dict[UUID, tuple[Decimal, str]]:
    """Price and currency by key, from the hour of `since` on. Keys that were charged nothing are not in it."""
    rows = (
        UsageHourly.objects.filter(key_id__in=set(key_ids), hour__gte=since)
        .values_list("key_id", "currency")
        .annotate(total=Sum("price"))
    )
    return {key_id: (total, currency) for key_id, currency, total in rows}
