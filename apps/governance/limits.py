"""All limits on one key's calls: what the plan sets, what the tenant set itself, what the key carries."""

from decimal import Decimal
from typing import Protocol
from uuid import UUID

from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import (
    DAY,
    MONTH,
    Limit,
    budget,
    concurrency,
    request_rate,
    to_nano,
    token_rate,
)
from apps.governance.types import Entitlements, TenantBudget
from apps.tenancy.types import TenantRef

_WINDOWS = {"day": DAY, "month": MONTH}


class Caller(Protocol):
    """What governance needs to know of a key; the keys app's Principal is one."""

    @property
    def key_id(self) -> UUID: ...
    @property
    def owner_id(self) -> UUID: ...
    @property
    def requests_per_minute(self) -> int | None: ...
    @property
    def tokens_per_minute(self) -> int | None: ...
    @property
    def concurrent_calls(self) -> int | None: ...


def limits_of(
    tenant: TenantRef, entitlements: Entitlements, budgets: tuple[TenantBudget, ...], caller: Caller
) -> LimitSet:
    """The set that admission checks for each call of this key, tenant's first."""
    owner, key = caller.owner_id.hex, caller.key_id.hex
    found = [*_of_plan(entitlements), *_of_key(caller, key)]
    subjects = {"tenant": "", "member": owner, "service_account": owner, "key": key}
    for each in budgets:
        if each.unit == "money" and each.subject_id in (None, caller.owner_id, caller.key_id):
            level = "owner" if each.level in ("member", "service_account") else each.level
            kind = "budget" if each.hard else "alert"
            found.append(
                budget(
                    f"{level}.{kind}_per_{each.window}",
                    to_nano(each.amount),
                    _WINDOWS[each.window],
                    subject=subjects[each.level],
                    soft=not each.hard,
                    alerts=each.alert_at,
                )
            )
    return LimitSet(tenant.id, found, owner=owner, key=key)


def _of_plan(entitlements: Entitlements) -> list[Limit]:
    limits = entitlements.limits
    found = []
    if (requests := entitlements.limit("requests_per_minute")) is not None:
        found.append(request_rate("tenant.requests_per_minute", requests))
    if (tokens := entitlements.limit("tokens_per_minute")) is not None:
        found.append(token_rate("tenant.tokens_per_minute", tokens))
    if (calls := entitlements.limit("concurrent_calls")) is not None:
        found.append(concurrency("tenant.concurrent_calls", calls))
    for window in ("day", "month"):
        if (spend := limits.get(f"spend_per_{window}")) is not None:
            found.append(
                budget(
                    f"tenant.spend_per_{window}", to_nano(Decimal(spend)), _WINDOWS[window], alerts=(80, 100)
                )
            )
    return found


def _of_key(caller: Caller, key: str) -> list[Limit]:
    found = []
    if caller.requests_per_minute is not None:
        found.append(request_rate("key.requests_per_minute", caller.requests_per_minute, subject=key))
    if caller.tokens_per_minute is not None:
        found.append(token_rate("key.tokens_per_minute", caller.tokens_per_minute, subject=key))
    if caller.concurrent_calls is not None:
        found.append(concurrency("key.concurrent_calls", caller.concurrent_calls, subject=key))
    return found
