"""Money limits: what fits is let in, to the nano-unit, and what was held comes back."""

import asyncio

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.types import DAY, MONTH, RefusedBecause, SettleStatus, budget
from tests.governance.admission.tenant import Tenant


async def test_a_thousand_asks_at_once_on_room_for_fifty_admit_exactly_fifty(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_month", 50_000, MONTH))

    answers = await asyncio.gather(*(tenant.ask(engine, limits, input_nano=1_000) for _ in range(1_000)))

    admitted = [answer for answer in answers if isinstance(answer, Admitted)]
    assert len(admitted) == 50
    assert tenant.counter(admitted[0].compiled.budgets[0]) == (0, 50_000)
    assert tenant.ledger.reads == 1


async def test_settling_gives_back_the_hold_and_counts_the_real_amount(
    engine: AdmissionEngine, tenant: Tenant
) -> None:
    limits = tenant.limits(budget("tenant.spend_per_day", 10_000, DAY))
    call = await tenant.admitted(engine, limits, input_nano=9_000)

    settled = await tenant.finish(engine, call, 2_500)

    assert settled.status is SettleStatus.SETTLED
    assert tenant.counter(call.compiled.budgets[0]) == (2_500, 0)
