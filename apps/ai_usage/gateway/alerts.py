"""What admission saw of budgets, told to the tenant: outside the call that showed it, and once per process at least."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from apps.governance import budget_alerts
from apps.governance.admission.ask import Admitted
from apps.governance.admission.limits import LimitSet, window_of
from apps.governance.admission.types import BudgetWindow, Kind, Refused, Settled
from apps.governance.budget_alerts import REFUSED, Reached
from apps.tenancy.selectors import tenant_by_id
from apps.tenancy.services import in_public, in_tenant

log = logging.getLogger(__name__)

# A crossing is seen by whoever settles it. Should that process die before it tells, others see it at their next look.
_LOOK_AGAIN_SECONDS = 30.0
_MOST_TOLD = 20_000


class BudgetAlerts:
    """One process's desk: it remembers what it has told, and the table remembers for all of them."""

    def __init__(self) -> None:
        self._told: set[tuple[Any, ...]] = set()

    def after(self, admitted: Admitted, settled: Settled) -> Coroutine[Any, Any, None] | None:
        """What is to be told after a settlement; None where there is nothing new, as nearly always."""
        found = [(alert.limit, alert.percent, alert.spent_nano) for alert in settled.alerts]
        compiled, now = admitted.compiled, time.monotonic()
        if now - compiled.looked_at > _LOOK_AGAIN_SECONDS:
            compiled.looked_at = now
            found += [(alert.limit, alert.percent, alert.spent_nano) for alert in admitted.alerts]
        if not found:
            return None
        windows = {window.limit.name: window for window in compiled.budgets}
        return self._tell(
            admitted.ask.limits,
            [(windows[limit.name], percent, spent) for limit, percent, spent in found],
        )

    def refused(self, limits: LimitSet, refused: Refused) -> Coroutine[Any, Any, None] | None:
        """What is to be told of a call that a budget refused."""
        if refused.limit.kind is not Kind.BUDGET:
            return None
        window = window_of(refused.limit, int(time.time() * 1000))
        return self._tell(limits, [(window, REFUSED, refused.limit.limit - refused.remaining)])

    def _tell(
        self, limits: LimitSet, seen: Sequence[tuple[BudgetWindow, int, int]]
    ) -> Coroutine[Any, Any, None] | None:
        new = [
            (window, percent, spent)
            for window, percent, spent in seen
            if (limits.tenant, window.counter, window.limit.limit, percent) not in self._told
        ]
        if not new:
            return None
        if len(self._told) > _MOST_TOLD:
            self._told.clear()
        names = [(limits.tenant, window.counter, window.limit.limit, percent) for window, percent, _ in new]
        self._told.update(names)
        return self._write(UUID(limits.tenant), [budget_alerts.reached(*each) for each in new], names)

    async def _write(self, tenant_id: UUID, found: list[Reached], names: list[tuple[Any, ...]]) -> None:
        try:
            await asyncio.to_thread(_note, tenant_id, found)
        except Exception:
            # Not told: whoever looks next tells it.
            self._told.difference_update(names)
            log.warning("an alert of a budget was not written; it is tried again", exc_info=True)


def _note(tenant_id: UUID, found: list[Reached]) -> None:
    try:
        with in_public():
            tenant = tenant_by_id(tenant_id)
        with in_tenant(tenant):
            budget_alerts.note_budgets(found)
    finally:
        connection.close()
