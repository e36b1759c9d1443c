"""All limits on one key's calls: what the plan sets, what the tenant set itself, what the key carries."""

from decimal import Decimal
from typing import Any, Protocol
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


class OwnLimits(Protocol):
    """What one key carries itself."""

    @property
    def requests_per_minute(self) -> int | None: ...
    @property
    def tokens_per_minute(self) -> int | None: ...
    @property
    def concurrent_calls(self) -> int | None: ...
    @property
    def shadow_limits(self) -> bool: ...


class Caller(OwnLimits, Protocol):
    """What governance needs to know of a key; the keys app's Principal is one."""

    @property
    def key_id(self) -> UUID: ...
    @property
    def owner_id(self) -> UUID: ...
    @property
    def parent_id(self) -> UUID | None: ...
    @property
    def parent_limits(self) -> OwnLimits | None: ...


def limits_of(
    tenant: TenantRef, entitlements: Entitlements, budgets: tuple[TenantBudget, ...], caller: Caller
) -> LimitSet:
    """The set that admission checks for each call of this key, tenant's first.

    A child key's calls are held against its parent's limits and budgets too, together with the parent's own and
    those of its other children.
    """
    owner, key = caller.owner_id.hex, caller.key_id.hex
    parent = caller.parent_id.hex if caller.parent_id else ""
    found = [*_of_plan(entitlements), *_of_key("key", caller, key)]
    if caller.parent_limits is not None:
        found += _of_key("parent", caller.parent_limits, parent)
    subjects = {"tenant": "", "owner": owner, "parent": parent, "key": key}
    concerned = {None, caller.owner_id, caller.key_id, caller.parent_id}
    for each in budgets:
        if each.subject_id in concerned:
            level, _, name = each.limit_name.partition(".")
            if level == "key" and each.subject_id == caller.parent_id:
                level = "parent"
            found.append(limit_of(each, f"{level}.{name}", subjects[level]))
    return LimitSet(tenant.id, found, owner=owner, parent=parent, key=key)


def limit_of(budgeted: TenantBudget, name: str = "", subject: str = "") -> Limit:
    """A tenant's budget as admission holds calls against it."""
    return budget(
        name or budgeted.limit_name,
        int(budgeted.amount) if budgeted.unit == "tokens" else to_nano(budgeted.amount),
        _WINDOWS[budgeted.window],
        subject=subject or budgeted.subject,
        soft=budgeted.shadow or not budgeted.hard,
        alerts=budgeted.alert_at,
    )


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


def _of_key(level: str, own: OwnLimits, subject: str) -> list[Limit]:
    found: list[Limit] = []
    more: dict[str, Any] = {"subject": subject, "soft": own.shadow_limits}
    if own.requests_per_minute is not None:
        found.append(request_rate(f"{level}.requests_per_minute", own.requests_per_minute, **more))
    if own.tokens_per_minute is not None:
        found.append(token_rate(f"{level}.tokens_per_minute", own.tokens_per_minute, **more))
    if own.concurrent_calls is not None:
        found.append(concurrency(f"{level}.concurrent_calls", own.concurrent_calls, **more))
    return found
