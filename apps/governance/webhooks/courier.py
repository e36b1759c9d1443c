"""Carrying messages out: one event loop in a thread of the worker, so that a slow endpoint holds up nobody.

A worker's thread only looks what is due and hands it over. What the process had in hand when it dies is taken
again by another when its lease ends.
"""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from types import ModuleType
from typing import TypeVar
from uuid import UUID

from django.db import close_old_connections, connection
from django.utils import timezone

from apps.governance.gates import may
from apps.governance.webhooks import auditing, delivering
from apps.governance.webhooks.delivering import Taken
from apps.governance.webhooks.sending import Outcome, send
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

log = logging.getLogger(__name__)
T = TypeVar("T")

_MOST_LANES = 256
# Of one tenant, so that many slow endpoints of one do not take all of them.
_MOST_OF_A_TENANT = 32


class Courier:
    """Lanes of this process: each attends to one endpoint until nothing of it is due."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._database = ThreadPoolExecutor(4, thread_name_prefix="webhook-records")
        self._lock = threading.Lock()
        self._open: Counter[UUID] = Counter()
        threading.Thread(target=self._loop.run_forever, name="webhooks", daemon=True).start()

    def look(self) -> int:
        """Open a lane for what is due in the tenant in force; how many were opened."""
        now, tenant = timezone.now(), current_tenant()
        wanted = [(auditing, each) for each in auditing.lanes(now)] if may("audit_delivery").allowed else []
        wanted += [(delivering, each) for each in delivering.lanes(now)]
        opened = 0
        for what, endpoint in wanted:
            if not self._enter(tenant.id):
                # Somebody will look again when these lanes are through.
                delivering.look_again(now)
                break
            asyncio.run_coroutine_threadsafe(self._lane(tenant, what, endpoint), self._loop)
            opened += 1
        if not opened and delivering.has_leases(now):
            delivering.look_again(now)
        return opened

    def wait(self, seconds: float) -> bool:
        """Until all lanes are through; False where time ran out."""
        gate = threading.Event()
        for _ in range(round(seconds / 0.05)):
            with self._lock:
                if not self._open.total():
                    return True
            gate.wait(0.05)
        return False

    def _enter(self, tenant: UUID) -> bool:
        with self._lock:
            if self._open[tenant] >= _MOST_OF_A_TENANT or self._open.total() >= _MOST_LANES:
                return False
            self._open[tenant] += 1
            return True

    async def _lane(self, tenant: TenantRef, what: ModuleType, endpoint: UUID) -> None:
        try:
            while True:
                taken = await self._ask(tenant, partial(_take, what, endpoint))
                if taken is None:
                    return
                outcome = await send(taken.message)
                await self._ask(tenant, partial(_record, what, taken, outcome))
        except Exception:
            # Its lease ends, and somebody else takes the delivery.
            log.exception("delivery to webhook endpoint %s broke off", endpoint)
        finally:
            with self._lock:
                self._open[tenant.id] -= 1

    async def _ask(self, tenant: TenantRef, what: Callable[[], T]) -> T:
        def ask() -> T:
            close_old_connections()
            try:
                with in_tenant(tenant):
                    return what()
            finally:
                connection.close()

        return await self._loop.run_in_executor(self._database, ask)


def _take(what: ModuleType, endpoint: UUID) -> Taken | None:
    taken: Taken | None = what.take(endpoint, now=timezone.now())
    return taken


def _record(what: ModuleType, taken: Taken, outcome: Outcome) -> None:
    what.record(taken, outcome, now=timezone.now())


@cache
def courier() -> Courier:
    """This process's."""
    return Courier()


def deliver_due() -> int:
    """Have everything that is due in the tenant in force carried out."""
    return courier().look()
