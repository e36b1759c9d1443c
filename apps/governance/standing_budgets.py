"""The budgets on a whole tenant as they stand: bounds, windows, and what calls under way hold of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

import redis
from django.conf import settings

from apps.governance import selectors
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import BudgetWindow
from apps.governance.limits import limits_of
from apps.tenancy.selectors import current_tenant

_NANO = Decimal(10) ** 9
_PATIENCE = 0.25


@dataclass(frozen=True, slots=True)
class StandingBudget:
    """A budget on the tenant in the window that a moment is in. What was spent of it, the ledger says."""

    name: str
    limit: Decimal
    is_hard: bool
    starts_at: datetime
    ends_at: datetime
    # What calls under way hold; None while Valkey does not answer.
    reserved: Decimal | None


class _Nobody:
    """A caller without a key: what is left of the limits are those on the tenant."""

    key_id = owner_id = UUID(int=0)
    parent_id = parent_limits = requests_per_minute = tokens_per_minute = concurrent_calls = None


def standing_budgets(now: datetime) -> list[StandingBudget]:
    """The plan's money limits and the tenant's own budgets on itself, the tightest first."""
    tenant = current_tenant()
    own = tuple(budget for budget in selectors.budgets() if budget.level == "tenant")
    limits = limits_of(tenant, selectors.entitlements(), own, _Nobody())
    windows = limits.at(int(now.timestamp() * 1000)).budgets
    held = _held(limits, windows)
    found = [
        StandingBudget(
            name=window.limit.name,
            limit=Decimal(window.limit.limit) / _NANO,
            is_hard=not window.limit.soft,
            starts_at=datetime.fromtimestamp(window.start_ms / 1000, UTC),
            ends_at=datetime.fromtimestamp(window.end_ms / 1000, UTC),
            reserved=amount,
        )
        for window, amount in zip(windows, held, strict=True)
    ]
    return sorted(found, key=lambda budget: budget.limit)


def _held(limits: LimitSet, windows: tuple[BudgetWindow, ...]) -> list[Decimal | None]:
    if not windows:
        return []
    try:
        pipeline = _valkey(settings.VALKEY_URL).pipeline(transaction=False)
        for window in windows:
            pipeline.hget(f"{limits.prefix}:b:{window.counter}", "r")
        return [Decimal(int(value or 0)) / _NANO for value in pipeline.execute()]
    except redis.RedisError:
        return [None] * len(windows)


@cache
def _valkey(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
