"""The one place that lets a call through: it asks the script, and does what the script cannot do alone."""

import asyncio
import struct
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.governance.admission import lua
from apps.governance.admission.answers import peeked, refused_by
from apps.governance.admission.ask import Admitted, Ask, reached
from apps.governance.admission.clock import ServerClock
from apps.governance.admission.errors import GovernanceUnavailable, LeaseInUse, ValkeyUnavailable
from apps.governance.admission.leases import Ending, Leases, release_of
from apps.governance.admission.ledger import LedgerDesk
from apps.governance.admission.limits import CompiledLimits, prefix_of
from apps.governance.admission.recovery import Recovery
from apps.governance.admission.resp import pack, pack_inner
from apps.governance.admission.types import (
    Alert,
    Peek,
    ReadAmounts,
    ReadSpent,
    Refused,
    Settled,
    SettleStatus,
    Stale,
    tokens_of,
)
from apps.governance.admission.valkey import Valkey

_OK, _REFUSED, _STALE, _UNSEEDED, _LOST, _WINDOW, _DUPLICATE = range(1, 8)

# Each turn mends one thing (a seed, a re-registration, some orphans); far more than ever needed, yet an end.
_MOST_TURNS = 64
_DIRTY_MS = 60_000
# Of one tenant, looked up in the ledger together.
_MOST_EXPIRED = 500
_HEAD_WORDS, _DYNAMIC_WORDS = 5, 7
_NUMBERS = struct.Struct(">10d")


@dataclass(frozen=True, slots=True)
class Counters:
    """What happened since the engine was made, for metrics and alarms."""

    admitted: int
    refused: int
    degraded: int  # let through without Valkey: raise an alarm
    unavailable: int  # refused because limits could not be checked
    seeded: int
    orphans_resolved: int
    unknown_settlements: int
    recoveries: int
    open_leases: int
    owed_endings: int  # settlements and releases that Valkey has not been told yet


class AdmissionEngine:
    """Admits, settles and releases calls through one Valkey connection. Make one per process and event loop.

    `start` begins the watch, which keeps leases alive, notices when Valkey lost its data and tells it the
    endings that it was away for. `recovery_ms` is how long budgets wait after a loss for every process to put
    its open leases back. `per_tenant_generation` keeps all keys in the tenant's slot, for a cluster; its
    price is that a tenant's first call ever waits for a recovery. `resolve_in_background` looks up expired
    leases also when nobody was refused because of them. `clock` (Unix milliseconds) replaces Valkey's own,
    for tests.
    """

    def __init__(
        self,
        valkey: Valkey,
        *,
        recovery_ms: int = 2000,
        beat_s: float = 0.25,
        per_tenant_generation: bool = False,
        resolve_in_background: bool = True,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.valkey = valkey
        self._clock = ServerClock(clock)
        self._recovery_ms = recovery_ms
        self._resolve_in_background = resolve_in_background
        self._leases = Leases(valkey, self._clock)
        self._recovery = Recovery(
            valkey, self._leases, self._clock, beat_s=beat_s, per_tenant=per_tenant_generation
        )
        self._desk = LedgerDesk(valkey, self._leases, self._clock)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._admitted_count = 0
        self._refused_count = 0
        self._degraded_count = 0
        self._unavailable_count = 0
        self._unknown_count = 0

    @classmethod
    def connect(cls, url: str, **options: Any) -> "AdmissionEngine":
        """An engine on a connection of its own, opened by its first use."""
        return cls(Valkey(url, scripts=lua.ALL), **options)

    def counters(self) -> Counters:
        return Counters(
            admitted=self._admitted_count,
            refused=self._refused_count,
            degraded=self._degraded_count,
            unavailable=self._unavailable_count,
            seeded=self._desk.seeded,
            orphans_resolved=self._desk.orphans_resolved,
            unknown_settlements=self._unknown_count,
            recoveries=self._recovery.recoveries,
            open_leases=self._leases.open_count,
            owed_endings=self._leases.owed_count,
        )

    async def start(self) -> None:
        """Begin the watch; Valkey need not be up yet."""
        await self._recovery.start()

    async def stop(self) -> None:
        """End the watch and close the connection. Open leases run out by themselves."""
        await self._recovery.stop()
        await self._desk.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.valkey.close()

    async def admit(
        self, ask: Ask, *, spent: ReadSpent, ledger_amounts: ReadAmounts
    ) -> Admitted | Refused | Stale:
        """Hold what the call may use under all its limits, or nothing.

        `spent` and `ledger_amounts` read the ledger; what they raise comes out here. Raises
        GovernanceUnavailable when limits that must hold cannot be checked, LeaseInUse when the call id was
        used before.
        """
        for _ in range(_MOST_TURNS):
            compiled = ask.limits.at(self._clock.now_ms())
            try:
                answer = await self._ask_once(ask, compiled, spent, ledger_amounts)
            except ValkeyUnavailable:
                return self._without_valkey(ask, compiled)
            if answer is not None:
                return answer
        self._unavailable_count += 1
        raise GovernanceUnavailable()

    async def peek(self, ask: Ask, *, spent: ReadSpent, ledger_amounts: ReadAmounts) -> Peek | Stale:
        """What `admit` would answer now, by the same script, holding nothing. Raises as `admit` does.

        As there, counters that are missing are read from the ledger and leases of the dead are ended: they would be by
        whoever asks next.
        """
        prefix, size = ask.limits.prefix, 8 + 2 * len(ask.limits.limits)
        for _ in range(_MOST_TURNS):
            compiled = ask.limits.at(self._clock.now_ms())
            try:
                if not self.valkey.is_connected:
                    await self.valkey.wire()
                generation = self._recovery.generation_of(prefix)
                packed = self._pack(ask, compiled, generation, lua.PEEK)
                reply = await self.valkey.run_packed(lua.PEEK, packed)
                if reply[0] in (_OK, _REFUSED):
                    if reply[0] == _OK or not reply[5] or len(reply) == size:
                        return peeked(ask, compiled, reply)
                    await self._desk.resolve(prefix, _texts(reply[size:]), ledger_amounts)
                elif (stale := await self._mend(ask, compiled, generation, reply, spent)) is not None:
                    return stale
            except ValkeyUnavailable:
                if ask.limits.has_hard_budgets or ask.closed_without_valkey:
                    raise GovernanceUnavailable() from None
                return Peek(None, ask.output_tokens, 0, (), degraded=True)
        raise GovernanceUnavailable()

    async def settle(self, admitted: Admitted, amount_nano: int, tokens: int | None = None) -> Settled:
        """Give back what the call holds and count what it really cost, once. Call it after the usage event is
        committed.

        Never raises for Valkey's sake: an ending that cannot be told now is told when Valkey is back.
        """
        if admitted.degraded:
            return Settled(SettleStatus.NOT_HELD)
        self._leases.remove(admitted)
        ask, windows = admitted.ask, admitted.compiled.budgets
        used = -1 if tokens is None else tokens
        counters = admitted.compiled.counters
        status, figures = await self._leases.end_or_owe(
            Ending(ask.limits.prefix, "S", ask.call_id, amount_nano, used, counters)
        )
        if status is SettleStatus.UNKNOWN:
            self._unknown_count += 1
        alerts: list[Alert] = []
        for window, now_spent, added in zip(windows, figures[::2], figures[1::2], strict=False):
            if window.limit.alerts and now_spent >= 0:
                alerts += reached(window, now_spent, now_spent - added)
        return Settled(status, tuple(alerts))

    async def release(self, admitted: Admitted) -> Settled:
        """Give back everything but the request rate: the call was not made and costs nothing."""
        if admitted.degraded:
            return Settled(SettleStatus.NOT_HELD)
        self._leases.remove(admitted)
        ending = release_of(admitted.ask.limits.prefix, admitted.call_id)
        return Settled((await self._leases.end_or_owe(ending))[0])

    async def resolve(self, tenant_id: UUID, call_id: str, amount_nano: int) -> SettleStatus:
        """End the lease of a call whose owner is gone, with what the ledger has for it (a `Used`)."""
        ending = Ending(prefix_of(tenant_id), "O", call_id, int(amount_nano), tokens_of(amount_nano))
        return (await self._leases.end(ending))[0]

    async def extend(self, admitted: Admitted, lease_ms: int | None = None) -> bool:
        """Keep the lease for `lease_ms` from now; a lease that was lost is put back. False when Valkey is
        away.
        """
        if admitted.degraded:
            return False
        try:
            return await self._recovery.extend(admitted, lease_ms or admitted.ask.lease_ms)
        except ValkeyUnavailable:
            return False

    async def ensure_lease(self, admitted: Admitted, at_least_ms: int = 10_000) -> bool:
        """See that the lease lasts for `at_least_ms`; costs nothing when it does. Call it before committing.

        A process that stood still past its lease may find its money given to others. Holding it again before
        the usage event is committed keeps others from being admitted on top of it.
        """
        if admitted.degraded or admitted.expires_at_ms - self._clock.now_ms() >= at_least_ms:
            return True
        return await self.extend(admitted, max(at_least_ms, admitted.ask.lease_ms))

    async def announce_change_begin(self, tenant_id: UUID) -> str:
        """Say before committing that what admission reads is about to change. Answers the mark to end it
        with.

        From here on every snapshot is stale, and none is kept until the end, or for 60 s if the writer dies.
        Raises GovernanceUnavailable when Valkey is away, since other processes cannot be told.
        """
        mark = uuid.uuid4().hex
        await self._change(tenant_id, "begin", mark)
        return mark

    async def announce_change_end(self, tenant_id: UUID, mark: str = "") -> int:
        """Say after the commit, or the roll-back, that the change is done. Answers the new epoch."""
        return int(await self._change(tenant_id, "end", mark))

    async def invalidate_budgets(self, tenant_id: UUID, counters: Sequence[str]) -> None:
        """Have budgets read from the ledger again, after it changed by other ways than settlement (a
        correction).
        """
        await self.valkey.run(lua.INVALIDATE, (prefix_of(tenant_id),), tuple(counters))

    async def forget_budgets(self, tenant_id: UUID, subjects: Iterable[str]) -> None:
        """Have every budget on these subjects read from the ledger again, whichever there are.

        Subjects as `limits.subject_word` spells them. For whoever brings late events into the ledger without
        knowing the limits that counted them. Raises ValkeyUnavailable.
        """
        await self.valkey.run(lua.FORGET, (prefix_of(tenant_id),), tuple(subjects))

    async def expired(self, tenant_id: UUID, *, since_ms: int = 0) -> list[str]:
        """Leases past their end by at least `since_ms` that still hold budget: of owners that are gone.

        Raises ValkeyUnavailable.
        """
        until = self._clock.now_ms() - since_ms
        name = f"{prefix_of(tenant_id)}:leases"
        found = await self.valkey.execute("ZRANGEBYSCORE", name, "-inf", until, "LIMIT", 0, _MOST_EXPIRED)
        return _texts(found)

    async def _change(self, tenant_id: UUID, mode: str, mark: str) -> Any:
        words = (mode, self._clock.word(), mark, _DIRTY_MS)
        try:
            return await self.valkey.run(lua.CHANGE, (prefix_of(tenant_id),), words)
        except ValkeyUnavailable as away:
            raise GovernanceUnavailable() from away

    async def _ask_once(
        self, ask: Ask, compiled: CompiledLimits, spent: ReadSpent, ledger_amounts: ReadAmounts
    ) -> Admitted | Refused | Stale | None:
        """Run the script and do what it answers is missing: None means that it should be asked again."""
        prefix = ask.limits.prefix
        if not self.valkey.is_connected:
            await self.valkey.wire()  # the command says which server it is meant for
        generation = self._recovery.generation_of(prefix)
        reply = await self._run(ask, self._pack(ask, compiled, generation))
        status = reply[0]
        if status == _OK:
            end = 5 + 2 * len(ask.limits.limits)
            if len(reply) > end and self._resolve_in_background:
                self._desk.resolve_soon(prefix, _texts(reply[end:]), ledger_amounts)
            self._admitted_count += 1
            admitted = Admitted(ask, compiled, generation, reply, end)
            self._leases.add(admitted)
            return admitted
        if status == _REFUSED:
            self._clock.learn(reply[1])
            if not reply[5] or len(reply) == 6:
                self._refused_count += 1
                return refused_by(ask, reply)
            await self._desk.resolve(prefix, _texts(reply[6:]), ledger_amounts)
            return None
        return await self._mend(ask, compiled, generation, reply, spent)

    async def _mend(
        self, ask: Ask, compiled: CompiledLimits, generation: str, reply: list[Any], spent: ReadSpent
    ) -> Stale | None:
        """Do what the script answers is missing before it can decide; Stale where only the caller can."""
        self._clock.learn(reply[1])
        prefix, status = ask.limits.prefix, reply[0]
        if status == _STALE:
            return Stale(epoch=int(reply[2]), dirty=bool(reply[3]))
        elif status == _UNSEEDED:
            end = 3 + 2 * reply[2]
            missing = [
                (compiled.windows[index], token.decode())
                for index, token in zip(reply[3:end:2], reply[4:end:2], strict=True)
            ]
            open_calls = list(dict.fromkeys(_texts(reply[end:])))
            key = self._recovery.key_of(prefix)
            await self._desk.seed(prefix, generation, key, missing, open_calls, spent)
        elif status == _LOST:
            await self._recovery.adopt(prefix, reply[2].decode())
            if reply[3] > 0:
                await asyncio.sleep(reply[3] / 1000)
        elif status == _DUPLICATE:
            raise LeaseInUse(ask.call_id)
        return None  # also for _WINDOW: the clock has just been learnt

    async def _run(self, ask: Ask, packed: bytes) -> list[Any]:
        try:
            reply: list[Any] = await self.valkey.run_packed(lua.ADMIT, packed)
        except ValkeyUnavailable:
            # It may have been executed: undo that when Valkey is back.
            self._leases.owe(release_of(ask.limits.prefix, ask.call_id))
            raise
        except asyncio.CancelledError:
            # The answer may be a lease that nobody would know of. Commands keep their order, so this comes
            # after it.
            undo = asyncio.get_running_loop().create_task(
                self._leases.end_or_owe(release_of(ask.limits.prefix, ask.call_id))
            )
            self._tasks.add(undo)
            undo.add_done_callback(self._tasks.discard)
            raise
        return reply

    def _pack(
        self, ask: Ask, compiled: CompiledLimits, generation: str, script: lua.Script = lua.ADMIT
    ) -> bytes:
        """The admit command. What does not change between asks was encoded when the limits were compiled."""
        key = self._recovery.key_of(ask.limits.prefix)
        place = key if script is lua.ADMIT else f"{key} {script.name}"
        head = compiled.heads.get(place)
        if head is None:
            count = _HEAD_WORDS + _DYNAMIC_WORDS + compiled.tail_count
            head = compiled.heads[place] = b"*%d\r\n" % count + pack_inner(
                ("EVALSHA", script.sha, 2, ask.limits.prefix, key)
            )
        # Amounts are below 2^53, which doubles hold exactly.
        numbers = _NUMBERS.pack(
            self._recovery_ms,
            ask.accept_dirty,
            ask.lease_ms,
            ask.tokens,
            ask.input_nano,
            ask.output_tokens,
            ask.output_price_pico,
            -1 if ask.min_output_tokens is None else ask.min_output_tokens,
            -1 if ask.estimate_nano is None else ask.estimate_nano,
            ask.input_tokens,
        )
        keep_ms = max(compiled.keep_until_ms - self._clock.now_ms(), ask.lease_ms + 60_000)
        server = self.valkey.server_id
        clock = self._clock.word()
        dynamic = pack((clock, ask.epoch, generation, ask.call_id, keep_ms, server, numbers))
        return b"".join((head, dynamic[4:], compiled.tail))  # 4: its own count, `*7\r\n`

    def _without_valkey(self, ask: Ask, compiled: CompiledLimits) -> Admitted:
        if ask.limits.has_hard_budgets or ask.closed_without_valkey:
            self._unavailable_count += 1
            raise GovernanceUnavailable()
        self._degraded_count += 1
        now = self._clock.now_ms()
        return Admitted(ask, compiled, "", [_OK, now, now, ask.output_tokens, 0], 5, degraded=True)


def _texts(words: list[Any]) -> list[str]:
    return [word.decode() for word in words]
