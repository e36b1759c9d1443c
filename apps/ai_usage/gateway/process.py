"""What one process holds for the hot path: connections, memory, and the recorder. Made in its event loop."""

import asyncio
import gc
import logging
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import psycopg
from django.conf import settings
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from apps.ai_usage.gateway import answer_store
from apps.ai_usage.gateway.alerts import BudgetAlerts
from apps.ai_usage.gateway.breakers import Breakers
from apps.ai_usage.gateway.estimates import OutputEstimates
from apps.ai_usage.gateway.keeping import ContentKeeper
from apps.ai_usage.gateway.last_uses import LastUses
from apps.ai_usage.gateway.snapshots import Snapshots
from apps.ai_usage.gateway.wire import Wire
from apps.ai_usage.ledger import late_events, spent
from apps.ai_usage.ledger.recorder import Recorder
from apps.ai_usage.ledger.spool import Spool
from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import BudgetWindow, Peek, Refused, Settled, Spent, Stale
from apps.tenancy.types import TenantRef

if TYPE_CHECKING:
    from apps.ai_usage.gateway.tracing import Tracing

log = logging.getLogger(__name__)

# A call makes some hundred objects, nearly all of which go by their reference counts; the default of 700 would
# look for cycles during every other call.
_NEW_OBJECTS_BETWEEN_COLLECTIONS = 10_000


class GatewayProcess:
    """The parts that calls share. `start` and `stop` belong to the server's lifespan, or to a worker's loop."""

    def __init__(self) -> None:
        self.engine = AdmissionEngine.connect(settings.VALKEY_URL)
        self.snapshots = Snapshots()
        self.answers = answer_store.connect()
        self.breakers = Breakers(self.engine.valkey)
        self.estimates = OutputEstimates()
        self.alerts = BudgetAlerts()
        self.last_uses = LastUses()
        self.pool = AsyncConnectionPool(
            settings.TENANT_DATABASE_URL,
            min_size=1,
            max_size=settings.GATEWAY_DATABASE_CONNECTIONS,
            timeout=5,
            max_lifetime=900,
            # Look for a PostgreSQL that went away every couple of seconds, not ever more seldom.
            reconnect_timeout=2,
            kwargs={
                "autocommit": True,
                "connect_timeout": 5,
                "application_name": "lockstep-gateway",
                "options": "-c statement_timeout=30000",
                "prepare_threshold": 3,
            },
            open=False,
            check=AsyncConnectionPool.check_connection if settings.GATEWAY_CHECK_CONNECTIONS else None,
        )
        self.recorder = Recorder(
            self.pool,
            Spool(settings.LOCKSTEP_HOME / "spool", limit=settings.GATEWAY_SPOOL_LIMIT),
            replayed=partial(late_events.forget_counters, self.engine, self.pool),
        )
        self.wire: Wire | None = None
        # Makes spans of calls; None without a collector to send them to, and then nothing of it is loaded.
        self.tracing: Tracing | None = None
        self.keeper = ContentKeeper(self.pool)
        self.drains = 0
        # Requests under way, those whose clients have gone included: the server does not wait for these.
        self.calls: set[asyncio.Task[Any]] = set()
        # The event loop that this belongs to, for threads that have something done in it.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._background: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Open what can be opened; neither PostgreSQL nor Valkey has to be up yet."""
        self.loop = asyncio.get_running_loop()
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self.wire = Wire(session)
        await self.pool.open(wait=False)
        await self.engine.start()
        self.breakers.start()
        self.recorder.start()
        self.last_uses.start()
        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            from apps.ai_usage.gateway import tracing

            self.tracing = tracing.start()
        _keep_what_is_loaded()

    async def stop(self) -> None:
        """End the calls that the server did not wait for, write down what waits, then close."""
        await self._end_calls()
        await self.recorder.stop()
        await self.keeper.stop()
        await self.last_uses.stop()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self.tracing is not None:
            await asyncio.to_thread(self.tracing.stop)
        self.breakers.stop()
        await self.answers.close()
        await self.engine.stop()
        await self.pool.close()
        self.snapshots.close()
        if self.wire is not None:
            await self.wire.close()

    async def _end_calls(self) -> None:
        # A call that goes on without its client is still charged for. What does not end soon is cut off, and accounts
        # for what it knows by then.
        if self.calls:
            await asyncio.wait(set(self.calls), timeout=settings.GATEWAY_STOP_SECONDS)
        for call in self.calls:
            call.cancel()
        if self.calls:
            await asyncio.wait(set(self.calls), timeout=2)

    async def epoch(self, tenant: TenantRef) -> tuple[int | None, bool]:
        """The tenant's epoch now, and whether a writer is between change and commit; None with Valkey away."""
        ask = Ask(call_id=uuid7().hex, limits=LimitSet(tenant.id, ()), epoch=0)
        answer = await self.engine.admit(ask, spent=self.spent(tenant), ledger_amounts=self.amounts(tenant))
        if isinstance(answer, Stale):
            return answer.epoch, answer.dirty
        if isinstance(answer, Admitted) and not answer.degraded:
            # Epochs are times, never 0; admitted only if somebody wrote that there.
            await self.engine.release(answer)
        return None, False

    async def admit(self, tenant: TenantRef, ask: Ask) -> Admitted | Refused | Stale:
        """Ask for admission, with the tenant's ledger at hand for what Valkey does not know."""
        return await self.engine.admit(ask, spent=self.spent(tenant), ledger_amounts=self.amounts(tenant))

    async def peek(self, tenant: TenantRef, ask: Ask) -> Peek | Stale:
        """What admission would answer, holding nothing."""
        return await self.engine.peek(ask, spent=self.spent(tenant), ledger_amounts=self.amounts(tenant))

    def settle(self, admitted: Admitted, price_nano: int, tokens: int) -> None:
        """Settle without waiting: commands keep their order, so whatever this process asks next sees it."""
        settling = self.engine.settle(admitted, price_nano, tokens)
        self.in_background(self._settle(admitted, settling) if admitted.ask.limits.has_alerts else settling)

    async def _settle(self, admitted: Admitted, settling: Coroutine[Any, Any, Settled]) -> None:
        if (telling := self.alerts.after(admitted, await settling)) is not None:
            await telling

    def refused(self, ask: Ask, refused: Refused) -> None:
        """Have the tenant told that a budget refuses, without waiting."""
        if (telling := self.alerts.refused(ask.limits, refused)) is not None:
            self.in_background(telling)

    def release(self, admitted: Admitted) -> None:
        """Give back what a call that was not made holds, without waiting."""
        self.in_background(self.engine.release(admitted))

    def in_background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start work that outlives whoever asked for it; `stop` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def spent(self, tenant: TenantRef) -> "_SpentReader":
        """Reads what budgets have spent, from the tenant's ledger."""
        return _SpentReader(self, tenant)

    def amounts(self, tenant: TenantRef) -> "_AmountsReader":
        """Reads what single calls came to, from the tenant's ledger."""
        return _AmountsReader(self, tenant)


class _SpentReader:
    def __init__(self, process: GatewayProcess, tenant: TenantRef) -> None:
        self.process, self.tenant = process, tenant

    async def __call__(self, budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent:
        # What is on disk is not in the ledger yet, be it ours or of a process that died or serves beside us; a seed
        # without it would let too much through.
        if await asyncio.to_thread(self.process.recorder.spool.holds_anything):
            raise psycopg.OperationalError(
                "Usage is waiting in the spool; budgets are read when it is replayed."
            )
        return await spent.spent_in_windows(self.process.pool, self.tenant, budgets, open_calls)


class _AmountsReader:
    def __init__(self, process: GatewayProcess, tenant: TenantRef) -> None:
        self.process, self.tenant = process, tenant

    async def __call__(self, call_ids: Sequence[str]) -> Mapping[str, int]:
        return await spent.amounts_of_calls(self.process.pool, self.tenant, call_ids)


def _keep_what_is_loaded() -> None:
    """Take what has been imported out of the garbage collector's sight: it stays as long as the process.

    A collection of everything would walk all of Django in the middle of somebody's call, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)


def now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(UTC)
