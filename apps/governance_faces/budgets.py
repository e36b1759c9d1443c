"""Budgets with what keys, people and the ledger know of them: who may set which, and how each stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.ai_usage import selectors as ledger
from apps.errors import DomainError
from apps.governance import selectors as governance
from apps.governance import services
from apps.governance.budgeting import BudgetTerms
from apps.governance.errors import BudgetNotYours, InvalidBudget
from apps.governance.standing_budgets import Standing, how_they_stand
from apps.governance.types import Actor, ActorKind, TenantBudget
from apps.identity import selectors as identity
from apps.keys import selectors as keys

MAY_SET_ALL = "settings:write"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget, whom it is on by name, and how it stands in its window now."""

    budget: TenantBudget
    subject: str
    standing: Standing
    # What was spent of it in its window, as the ledger has it. Tokens or money.
    spent: Decimal
    # Calls in the window that a shadow budget would have refused; None for one that is no shadow.
    would_have_refused: int | None

    @property
    def left(self) -> Decimal:
        """What new calls may still use; not below zero."""
        reserved = self.standing.reserved or Decimal(0)
        return max(Decimal(0), self.budget.amount - self.spent - reserved)


def set_budget(
    *, actor: Actor, level: str, subject_id: UUID | None, unit: str, window: str, terms: BudgetTerms
) -> TenantBudget:
    """Set a budget on the tenant, a member, a service account or a key."""
    _may_set(actor, level, subject_id)
    return services.create_budget(
        actor=actor, level=level, subject_id=subject_id, unit=unit, window=window, terms=terms
    )


def change_budget(budget_id: UUID, *, actor: Actor, changes: Mapping[str, Any]) -> TenantBudget:
    """Change a budget's amount, kind or alerts."""
    found = governance.budget(budget_id)
    _may_set(actor, found.level, found.subject_id)
    return services.change_budget(budget_id, actor=actor, changes=changes)


def remove_budget(budget_id: UUID, *, actor: Actor) -> None:
    """Remove a budget."""
    found = governance.budget(budget_id)
    _may_set(actor, found.level, found.subject_id, must_exist=False)
    services.delete_budget(budget_id, actor=actor)


def states(budgets: list[TenantBudget], *, now: datetime) -> list[BudgetState]:
    """How budgets stand: spent by the ledger, reserved by calls under way."""
    standings = how_they_stand(budgets, now=now)
    names = subject_names(budgets)
    return [
        BudgetState(
            budget=budget,
            subject=names.get(budget.subject_id, "") if budget.subject_id else "The whole tenant",
            standing=standing,
            spent=ledger.spent_in(standing.window),
            would_have_refused=ledger.would_have_refused(standing.window) if budget.shadow else None,
        )
        for budget, standing in zip(budgets, standings, strict=True)
    ]


def subject_names(budgets: list[TenantBudget]) -> dict[UUID, str]:
    """What the members, service accounts and keys under budgets are called; those that are gone are left out."""
    on_keys = {budget.subject_id for budget in budgets if budget.level == "key" and budget.subject_id}
    on_owners = {budget.subject_id for budget in budgets if budget.level != "key" and budget.subject_id}
    return {**keys.key_names(on_keys), **keys.owner_names(on_owners)}


def _may_set(actor: Actor, level: str, subject_id: UUID | None, *, must_exist: bool = True) -> None:
    """Whoever may change settings sets any; whoever may change a key sets that key's, but for its own and above."""
    if subject_id is not None and must_exist:
        _check_subject(level, subject_id)
    if actor.is_platform or MAY_SET_ALL in actor.scopes:
        return
    if level != "key" or subject_id is None or "keys:write" not in actor.scopes:
        raise BudgetNotYours
    if actor.kind is ActorKind.KEY and subject_id in _above(UUID(actor.id)):
        raise BudgetNotYours
    if not keys.may_be_managed_by(actor, subject_id):
        raise BudgetNotYours


def _above(key_id: UUID) -> set[UUID]:
    acting = keys.key(key_id)
    return {key_id, acting.parent_id} if acting.parent_id else {key_id}


def _check_subject(level: str, subject_id: UUID) -> None:
    find = {"member": identity.member, "service_account": keys.service_account, "key": keys.key}.get(level)
    if find is None:
        raise InvalidBudget("A budget on the whole tenant names nobody.")
    try:
        find(subject_id)
    except DomainError as missing:
        raise InvalidBudget(f"There is no such {level.replace('_', ' ')} here.") from missing
