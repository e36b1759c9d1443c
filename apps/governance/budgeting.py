"""Setting the budgets of the tenant in force. Who may set which is decided above, where keys and people are known."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.governance.admission.types import MAX_AMOUNT
from apps.governance.announcing import announce_change
from apps.governance.audit import record_audit
from apps.governance.errors import BudgetExists, BudgetNotFound, InvalidBudget
from apps.governance.gates import check_gate
from apps.governance.models import Budget
from apps.governance.selectors import budget_record
from apps.governance.types import Actor, TenantBudget
from apps.governance.webhooks.events import EventType
from apps.governance.webhooks.outbox import emit
from apps.tenancy import services as tenancy

LEVELS = ("tenant", "member", "service_account", "key")
UNITS = ("money", "tokens")
WINDOWS = ("day", "month")
MOST_BUDGETS = 5_000
_MOST_THRESHOLDS = 10
_MOST_MONEY = Decimal(MAX_AMOUNT) / 10**9


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What of a budget can change. Money in the tenant's currency, tokens whole."""

    amount: Decimal
    hard: bool = True
    shadow: bool = False
    alert_at: tuple[int, ...] = (80, 100)


@transaction.atomic
def create_budget(
    *, actor: Actor, level: str, subject_id: UUID | None, unit: str, window: str, terms: BudgetTerms
) -> TenantBudget:
    """Set a budget; it holds from the next call on, for what was spent in its window already too."""
    check_gate("budgets")
    if level not in LEVELS or (level == "tenant") != (subject_id is None):
        raise InvalidBudget("A budget is on the tenant, or on one member, service account or key.")
    if unit not in UNITS or window not in WINDOWS:
        raise InvalidBudget("A budget counts money or tokens, in a day or a month.")
    checked = _checked(terms, unit)
    tenancy.lock_tenant("budgets")
    if Budget.objects.count() >= MOST_BUDGETS:
        raise InvalidBudget(f"There are {MOST_BUDGETS} budgets already. Remove some first.")
    _refuse_second(level, subject_id, unit, window, checked)
    row = Budget.objects.create(
        level=level,
        subject_id=subject_id,
        unit=unit,
        window=window,
        created_by=actor.name[:200],
        **_columns(checked),
    )
    made = budget_record(row)
    _note("budget.created", made, actor, before=None, after=made)
    return made


@transaction.atomic
def change_budget(budget_id: UUID, *, actor: Actor, changes: Mapping[str, Any]) -> TenantBudget:
    """Change what is given of `BudgetTerms`; what is not stays."""
    check_gate("budgets")
    tenancy.lock_tenant("budgets")
    row = _locked(budget_id)
    before = budget_record(row)
    terms = replace(BudgetTerms(row.amount, row.hard, row.shadow, tuple(row.alert_at)), **changes)
    checked = _checked(terms, row.unit)
    _refuse_second(row.level, row.subject_id, row.unit, row.window, checked, besides=row.pk)
    for column, value in _columns(checked).items():
        setattr(row, column, value)
    after = budget_record(row)
    if after != before:
        row.save()
        _note("budget.changed", after, actor, before=before, after=after)
    return after


@transaction.atomic
def delete_budget(budget_id: UUID, *, actor: Actor) -> None:
    """Remove a budget. Possible also where the plan has no budgets any more, since it goes on to bind."""
    row = _locked(budget_id)
    before = budget_record(row)
    row.delete()
    _note("budget.removed", before, actor, before=before, after=None)


@transaction.atomic
def copy_key_budgets(old: UUID, new: UUID, *, actor: Actor) -> None:
    """Give a key's successor the budgets that the key has: a rotation must not loosen anything."""
    for row in Budget.objects.filter(level="key", subject_id=old):
        made = Budget.objects.create(
            level="key",
            subject_id=new,
            unit=row.unit,
            window=row.window,
            amount=row.amount,
            hard=row.hard,
            shadow=row.shadow,
            alert_at=row.alert_at,
            created_by=actor.name[:200],
        )
        _note("budget.created", budget_record(made), actor, before=None, after=budget_record(made))


def _locked(budget_id: UUID) -> Budget:
    row = Budget.objects.select_for_update().filter(pk=budget_id).first()
    if row is None:
        raise BudgetNotFound
    return row


def _checked(terms: BudgetTerms, unit: str) -> BudgetTerms:
    amount = terms.amount
    if not amount.is_finite() or amount < 0:
        raise InvalidBudget("A budget's amount is a number, and not below zero.")
    if unit == "tokens":
        if amount != amount.to_integral_value() or amount > MAX_AMOUNT:
            raise InvalidBudget(f"A budget in tokens is a whole number of at most {MAX_AMOUNT}.")
    elif amount > _MOST_MONEY or amount != round(amount, 9):
        raise InvalidBudget(f"A budget in money has at most 9 decimals and is at most {_MOST_MONEY:.0f}.")
    if terms.shadow and not terms.hard:
        raise InvalidBudget("Shadow is for hard budgets: a soft one refuses nothing anyway.")
    thresholds = tuple(sorted(set(terms.alert_at)))
    if len(thresholds) > _MOST_THRESHOLDS or any(not 1 <= percent <= 1000 for percent in thresholds):
        raise InvalidBudget(f"Alerts are at most {_MOST_THRESHOLDS} percentages from 1 to 1000.")
    return replace(terms, alert_at=thresholds)


def _refuse_second(
    level: str,
    subject_id: UUID | None,
    unit: str,
    window: str,
    terms: BudgetTerms,
    besides: UUID | None = None,
) -> None:
    others = Budget.objects.exclude(pk=besides) if besides else Budget.objects.all()
    others = others.filter(
        level=level,
        subject_id=subject_id,
        unit=unit,
        window=window,
        hard=terms.hard,
        shadow=terms.shadow,
    )
    if others.exists():
        raise BudgetExists


def _columns(terms: BudgetTerms) -> dict[str, Any]:
    return {
        "amount": terms.amount,
        "hard": terms.hard,
        "shadow": terms.shadow,
        "alert_at": list(terms.alert_at),
    }


def _note(
    action: str,
    budget: TenantBudget,
    actor: Actor,
    *,
    before: TenantBudget | None,
    after: TenantBudget | None,
) -> None:
    said = {"before": _said(before), "after": _said(after)}
    record_audit(
        action,
        actor=actor,
        target_kind="budget",
        target_id=budget.id,
        details={"limit": budget.limit_name, **said},
    )
    emit(
        EventType.BUDGET_CHANGED,
        {
            "id": budget.id,
            "change": action.removeprefix("budget."),
            **said,
            "actor": {"kind": actor.kind.value, "id": actor.id, "name": actor.name},
        },
    )
    announce_change()


def _said(budget: TenantBudget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    return {
        "level": budget.level,
        "subject_id": str(budget.subject_id) if budget.subject_id else None,
        "unit": budget.unit,
        "window": budget.window,
        "amount": f"{budget.amount:f}",
        "hard": budget.hard,
        "shadow": budget.shadow,
        "alert_at": list(budget.alert_at),
    }
