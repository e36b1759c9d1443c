"""The watch of one process: it keeps its leases alive and notices when Valkey came back, or lost its data."""

import asyncio
import logging

from apps.governance.admission import lua
from apps.governance.admission.ask import Admitted
from apps.governance.admission.clock import ServerClock
from apps.governance.admission.errors import ValkeyError, ValkeyUnavailable
from apps.governance.admission.leases import Leases
from apps.governance.admission.valkey import Valkey

logger = logging.getLogger(__name__)

# Leases put back at once; the event loop serves others in between.
_BATCH = 200


class Recovery:
    """Knows which generation of Valkey's data this process has its leases in.

    The generation is a key that lives as long as the data. While it is younger than the recovery time,
    budgets admit nobody, so that every process finds its open leases missing and puts them back before their
    money is given to others.
    """

    def __init__(
        self, valkey: Valkey, leases: Leases, clock: ServerClock, *, beat_s: float, per_tenant: bool
    ) -> None:
        self._valkey = valkey
        self._leases = leases
        self._clock = clock
        self._beat_s = beat_s
        self._per_tenant = per_tenant
        self._known: dict[str, str] = {}
        self._adopting: dict[str, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        self.recoveries = 0

    def key_of(self, prefix: str) -> str:
        """The key in Valkey that says the generation of this tenant's data."""
        return f"{prefix}:generation" if self._per_tenant else "lockstep:generation"

    def generation_of(self, prefix: str) -> str:
        """The generation in which this process's leases of the tenant are; empty at first."""
        return self._known.get(self.key_of(prefix), "")

    async def start(self) -> None:
        """Look once, so that a fresh Valkey's recovery time begins before the first call; then watch."""
        try:
            await self.beat()
        except ValkeyUnavailable as away:
            logger.warning("Admission starts without Valkey: %s", away)
        self._watch = asyncio.get_running_loop().create_task(self._keep_watch())

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def beat(self) -> None:
        """One look: adopt a new generation, tell owed endings, extend leases that should be kept alive."""
        for prefix in self._leases.prefixes() if self._per_tenant else [""]:
            key = self.key_of(prefix)
            server = (await self._valkey.wire()).server_id
            now, generation = await self._valkey.run(
                lua.BEAT, (prefix or key, key), (self._clock.word(), server)
            )
            self._clock.learn(now)
            await self.adopt(prefix, generation.decode())
        await self._leases.pay()
        now = self._clock.now_ms()
        for admitted in self._leases.of(None):
            lease_ms = admitted.ask.lease_ms
            if admitted.keep_until_ms > now and admitted.expires_at_ms - now < lease_ms // 2:
                await self.extend(admitted, lease_ms)

    async def adopt(self, prefix: str, generation: str) -> None:
        """Put this process's open leases into a new generation of data; at once when it is known already."""
        key = self.key_of(prefix)
        if self._known.get(key) == generation:
            return
        task = self._adopting.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._adopt(key, prefix, generation))
            self._adopting[key] = task
            task.add_done_callback(lambda done: self._adopted(key, done))
        await asyncio.shield(task)

    async def extend(self, admitted: Admitted, lease_ms: int) -> bool:
        """Extend a lease, and put it back if Valkey no longer has it: its call is running, so it counts."""
        if await self._leases.extend(admitted, lease_ms):
            return True
        prefix = admitted.ask.limits.prefix
        # The call may have ended while the question was under way.
        return self._leases.holds(admitted) and await self._leases.register(
            admitted, self.generation_of(prefix), self.key_of(prefix)
        )

    async def _adopt(self, key: str, prefix: str, generation: str) -> None:
        now = self._clock.now_ms()
        # A lease past its end has no claim left; others may have been let in on its money already.
        lost = [
            each
            for each in self._leases.of(prefix or None)
            if each.generation != generation and each.expires_at_ms > now
        ]
        for start in range(0, len(lost), _BATCH):
            batch = [each for each in lost[start : start + _BATCH] if self._leases.holds(each)]
            answers = await asyncio.gather(*(self._leases.register(each, generation, key) for each in batch))
            if not all(answers):
                return  # lost again meanwhile; the next look begins anew
        if key in self._known:
            self.recoveries += 1
            logger.warning("Valkey lost its data; %d open leases were put back.", len(lost))
        self._known[key] = generation

    def _adopted(self, key: str, task: asyncio.Task[None]) -> None:
        self._adopting.pop(key, None)
        if not task.cancelled():
            task.exception()  # told to whoever waits; nobody may be waiting any more

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self.beat()
            except ValkeyUnavailable:
                continue
            except ValkeyError:
                logger.exception("The admission watch was answered with an error.")
