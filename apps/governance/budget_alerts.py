"""Telling once that a budget reached a percentage, or refused: the row, the audit entry, the event and the mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from apps.governance import selectors
from apps.governance.admission.types import BudgetWindow
from apps.governance.audit import record_audit
from apps.governance.errors import BudgetNotFound
from apps.governance.models import BudgetAlert
from apps.governance.types import Actor, TenantBudget
from apps.governance.webhooks.events import EventType
from apps.governance.webhooks.outbox import emit
from apps.jobs.services import enqueue
from apps.tenancy.selectors import current_tenant

REFUSED = 0  # in place of a percentage
_MOST_SHOWN = 500
_NANO = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Reached:
    """What admission saw of one budget in one window. Amounts in the budget's unit."""

    limit: str
    subject: str
    unit: str
    window: str
    window_start: datetime
    resets_at: datetime | None
    percent: int
    amount: Decimal
    spent: Decimal
    hard: bool


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """An alert as it is shown."""

    id: UUID
    limit: str
    subject_id: UUID | None
    percent: int
    amount: Decimal
    spent: Decimal
    resets_at: datetime | None
    at: datetime

    @property
    def said(self) -> str:
        """What happened, in words."""
        return f"{self.percent}% is used." if self.percent else "calls are refused."

    @property
    def unit(self) -> str:
        """money or tokens."""
        return "tokens" if ".token_" in self.limit else "money"


def reached(window: BudgetWindow, percent: int, spent: int) -> Reached:
    """What admission says of a budget, in words and units of the ledger. A parent's budget is a key's."""
    limit = window.limit
    level, _, name = limit.name.partition(".")
    scale = Decimal(1) if limit.counts_tokens else _NANO
    return Reached(
        limit=f"key.{name}" if level == "parent" else limit.name,
        subject=limit.subject,
        unit="tokens" if limit.counts_tokens else "money",
        window=limit.window.name if limit.window else "",
        window_start=datetime.fromtimestamp(window.start_ms / 1000, UTC),
        resets_at=datetime.fromtimestamp(window.end_ms / 1000, UTC) if window.end_ms else None,
        percent=percent,
        amount=Decimal(limit.limit) / scale,
        spent=Decimal(spent) / scale,
        hard=not limit.soft,
    )


def note_budgets(found: Sequence[Reached]) -> int:
    """Tell of each that nobody has told of before; returns of how many. Safe from any number of processes."""
    return sum(_note(each) for each in found)


@transaction.atomic
def _note(seen: Reached) -> bool:
    row, is_new = BudgetAlert.objects.get_or_create(
        limit=seen.limit,
        subject=seen.subject,
        window_start=seen.window_start,
        percent=seen.percent,
        amount=seen.amount,
        defaults={"spent": seen.spent, "resets_at": seen.resets_at},
    )
    if not is_new:
        return False
    own = _own_budget(seen)
    level = own.level if own else seen.limit.partition(".")[0]
    told = {
        "id": str(own.id) if own else None,  # None: a limit of the plan
        "level": level,
        "subject_id": str(UUID(seen.subject)) if seen.subject else None,
        "window": seen.window,
        "unit": seen.unit,
        "amount": f"{seen.amount.normalize():f}",
        "hard": seen.hard,
        "spent": f"{seen.spent.normalize():f}",
        "resets_at": seen.resets_at.isoformat() if seen.resets_at else None,
    }
    if seen.percent == REFUSED:
        emit(EventType.BUDGET_EXHAUSTED, told)
    else:
        emit(EventType.BUDGET_ALERT, told | {"percent": seen.percent})
    record_audit(
        "budget.alerted",
        actor=Actor.system("budgets"),
        target_kind="budget",
        target_id=own.id if own else seen.limit,
        details=told | {"limit": seen.limit, "percent": seen.percent or "refused"},
    )
    enqueue("keys.tell_of_budget", tenant_id=current_tenant().id, payload={"alert_id": str(row.pk)})
    return True


def budget_alert(alert_id: UUID) -> ToldAlert:
    """One alert; BudgetNotFound otherwise."""
    row = BudgetAlert.objects.filter(pk=alert_id).first()
    if row is None:
        raise BudgetNotFound
    return _told(row)


def standing_alerts(now: datetime) -> list[ToldAlert]:
    """The latest alert of each budget whose window is not over, the last one told first."""
    newest: dict[tuple[str, str], BudgetAlert] = {}
    for row in BudgetAlert.objects.filter(resets_at__gt=now).order_by("-id")[:_MOST_SHOWN]:
        newest.setdefault((row.limit, row.subject), row)
    return [_told(row) for row in newest.values()]


def _told(row: BudgetAlert) -> ToldAlert:
    return ToldAlert(
        id=row.id,
        limit=row.limit,
        subject_id=UUID(row.subject) if row.subject else None,
        percent=row.percent,
        amount=row.amount,
        spent=row.spent,
        resets_at=row.resets_at,
        at=row.at,
    )


def _own_budget(seen: Reached) -> TenantBudget | None:
    for budget in selectors.budgets():
        if budget.limit_name == seen.limit and budget.subject == seen.subject:
            return budget
    return None
