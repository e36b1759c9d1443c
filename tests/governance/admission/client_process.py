"""A gateway-like process for tests that kill it: admits, commits and settles calls at random until it is told
to stop.

Prints one line per step, so that the test knows what it did up to the moment it died.
"""

import argparse
import asyncio
import random
import uuid
from pathlib import Path
from uuid import UUID

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import MONTH, budget, concurrency
from tests.governance.admission.ledger import Ledger
from tests.governance.admission.tenant import Tenant


def limits_of(tenant_id: UUID, amount: int) -> LimitSet:
    return LimitSet(
        tenant_id,
        [
            budget("tenant.spend_per_month", amount, MONTH),
            budget("key.spend_per_month", amount, MONTH, subject="k"),
            concurrency("tenant.concurrent_calls", 40),
        ],
        key="k",
    )


async def call(
    engine: AdmissionEngine, tenant: Tenant, limits: LimitSet, lease_ms: int, rng: random.Random
) -> bool:
    answer = await tenant.ask(
        engine,
        limits,
        call_id=uuid.uuid4().hex,
        input_nano=rng.randint(1, 100),
        lease_ms=lease_ms,
        keep_alive_ms=60_000,
    )
    if not isinstance(answer, Admitted):
        await asyncio.sleep(0.002)
        return False
    await asyncio.sleep(rng.random() * 0.01)
    if rng.random() < 0.1:
        await engine.release(answer)
        return True
    await engine.ensure_lease(answer, lease_ms // 4)
    tenant.commit(answer, rng.randint(0, answer.hold_nano))
    await asyncio.sleep(rng.random() * 0.005)
    await engine.settle(answer, tenant.ledger.amounts(tenant.id.hex, [answer.call_id])[answer.call_id])
    return True


async def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--port", type=int)
    words.add_argument("--tenant")
    words.add_argument("--ledger")
    words.add_argument("--amount", type=int)
    words.add_argument("--seed", type=int)
    words.add_argument("--lease-ms", type=int, default=300)
    words.add_argument("--workers", type=int, default=8)
    words.add_argument("--asks", type=int, default=10**9)
    options = words.parse_args()

    engine = AdmissionEngine.connect(f"redis://127.0.0.1:{options.port}", recovery_ms=500, beat_s=0.05)
    await engine.start()
    tenant = Tenant(UUID(options.tenant), Ledger(Path(options.ledger)), options.port)
    limits = limits_of(tenant.id, options.amount)
    rng = random.Random(options.seed)

    async def work() -> int:
        return sum([await call(engine, tenant, limits, options.lease_ms, rng) for _ in range(options.asks)])

    print("ready", flush=True)
    print(sum(await asyncio.gather(*(work() for _ in range(options.workers)))), flush=True)
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main())
