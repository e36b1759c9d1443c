"""The budgets on a whole tenant as they stand: bounds, windows, and what calls under way hold of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

import redis
from django.conf import settings

from apps.governance import selectors
from apps.governance.admission.limits import prefix_of, window_of
from apps.governance.admission.types import BudgetWindow
from apps.governance.limits import limit_of, limits_of
from apps.governance.types import TenantBudget
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


@dataclass(frozen=True, slots=True)
class Standing:
    """One budget in the window that a moment is in. `reserved` is in its unit, None while Valkey is away."""

    window: BudgetWindow
    starts_at: datetime
    resets_at: datetime
    reserved: Decimal | None


def how_they_stand(budgets: Sequence[TenantBudget], *, now: datetime) -> list[Standing]:
    """The windows of budgets on whomever they are, with what calls under way hold of each."""
    at, tenant = int(now.timestamp() * 1000), current_tenant()
    windows = tuple(window_of(limit_of(budget), at) for budget in budgets)
    held = _held(prefix_of(tenant.id), windows)
    return [
        Standing(
            window=window,
            starts_at=datetime.fromtimestamp(window.start_ms / 1000, UTC),
            resets_at=datetime.fromtimestamp(window.end_ms / 1000, UTC),
            reserved=amount,
        )
        for window, amount in zip(windows, held, strict=True)
    ]


class _Nobody:
    """A caller without a key: what is left of the limits are those on the tenant."""

    key_id = owner_id = UUID(int=0)
    parent_id = parent_limits = requests_per_minute = tokens_per_minute = concurrent_calls = None
    shadow_limits = False


def standing_budgets(now: datetime) -> list[StandingBudget]:
    """The plan's money limits and the tenant's own budgets on itself, the tightest first."""
    tenant = current_tenant()
    own = tuple(budget for budget in selectors.budgets() if _is_on_money(budget))
    limits = limits_of(tenant, selectors.entitlements(), own, _Nobody())
    windows = limits.at(int(now.timestamp() * 1000)).budgets
    held = _held(limits.prefix, windows)
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


def _is_on_money(budget: TenantBudget) -> bool:
    return budget.level == "tenant" and budget.unit == "money" and not budget.shadow


def _held(prefix: str, windows: tuple[BudgetWindow, ...]) -> list[Decimal | None]:
    if not windows:
        return []
    try:
        pipeline = _valkey(settings.VALKEY_URL).pipeline(transaction=False)
        for window in windows:
            pipeline.hget(f"{prefix}:b:{window.counter}", "r")
        return [
            Decimal(int(value or 0)) / (1 if window.limit.counts_tokens else _NANO)
            for window, value in zip(windows, pipeline.execute(), strict=True)
        ]
    except redis.RedisError:
        return [None] * len(windows)


@cache
def _valkey(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
