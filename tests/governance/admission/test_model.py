"""Random histories against a model to check by hand: engines, dying owners, losses, seeds and windows."""

import asyncio
import math
import uuid
from dataclasses import dataclass, field

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.governance.admission.ask import Admitted
from apps.governance.admission.engine import AdmissionEngine
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import TOTAL, SettleStatus, Window, budget, concurrency, token_rate
from tests.governance.admission.conftest import Clock, Server
from tests.governance.admission.ledger import Ledger
from tests.governance.admission.tenant import Tenant

TENANT_LIMIT, KEY_LIMIT, SLOTS, TOKENS = 1_000, 500, 6, 300
SPAN_MS, MINUTE_MS = 600_000, 60_000
KEYS = ("k1", "k2")


@dataclass
class Lease:
    """What the model knows of a call: what it holds, until when, and what the ledger has of it."""

    admitted: Admitted
    engine: int
    key: str
    hold: int
    expiry: int
    committed: int = 0
    is_owned: bool = True
    is_over: bool = False
    tokens: int | None = None


@dataclass
class Model:
    """The rules of admission in plain arithmetic."""

    now: int
    leases: list[Lease] = field(default_factory=list)
    fill: int = 0
    filled_at: int = 0

    def used(self, lease: Lease) -> int:
        """What a call takes from a budget: its hold while its lease lasts, then what the ledger has."""
        if lease.is_over or lease.expiry <= self.now:
            return lease.committed
        return lease.hold

    def room(self, key: str) -> dict[str, int]:
        span = self.now // SPAN_MS
        mine = [
            lease
            for lease in self.leases
            if lease.key == key and lease.admitted.admitted_at_ms // SPAN_MS == span
        ]
        return {
            "tenant.spend_in_total": TENANT_LIMIT - sum(map(self.used, self.leases)),
            "key.spend_per_window": KEY_LIMIT - sum(map(self.used, mine)),
        }

    def slots_taken(self) -> int:
        return sum(not lease.is_over and lease.expiry > self.now for lease in self.leases)

    def drain(self) -> int:
        self.fill = max(0, self.fill - (self.now - self.filled_at) * TOKENS)
        self.filled_at = self.now
        return self.fill


class Admission(RuleBasedStateMachine):
    """Two engines and a model that do the same, step by step."""

    server: Server
    open_calls = Bundle("open_calls")

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.model = Model(self.clock.now())
        self.tenant = Tenant(uuid.uuid4(), Ledger(), self.server.port)
        # A database of its own, so that losing everything in it takes nothing from other tests.
        self.tenant.valkey = redis.Redis(port=self.server.port, db=1, decode_responses=True)
        self.tenant.valkey.flushdb()
        url = self.server.url.replace("/0", "/1")
        options = {"recovery_ms": 0, "resolve_in_background": False, "clock": self.clock.now}
        self.engines = [AdmissionEngine.connect(url, **options) for _ in range(2)]
        self.limits = {key: self.limits_of(key) for key in KEYS}

    def limits_of(self, key: str) -> LimitSet:
        return self.tenant.limits(
            budget("tenant.spend_in_total", TENANT_LIMIT, TOTAL),
            concurrency("tenant.concurrent_calls", SLOTS),
            token_rate("tenant.tokens_per_minute", TOKENS),
            budget("key.spend_per_window", KEY_LIMIT, Window.every(SPAN_MS // 1000), subject=key),
            key=key,
        )

    def run(self, work):
        return self.loop.run_until_complete(work)

    @rule(
        target=open_calls,
        engine=st.integers(0, 1),
        key=st.sampled_from(KEYS),
        amount=st.integers(0, 400),
        output=st.integers(0, 300),
        least=st.none() | st.integers(0, 300),
        tokens=st.integers(0, 120),
        lease_ms=st.sampled_from([1_000, 20_000, 400_000]),
    )
    def ask(self, engine, key, amount, output, least, tokens, lease_ms):
        model, room = self.model, self.model.room(key)
        fitting = output
        if amount + output > min(room.values()) and least is not None and least < output:
            fitting = max(least, min(output, min(room.values()) - amount))
        refusing = {name for name, left in room.items() if amount + fitting > left}
        if model.slots_taken() >= SLOTS:
            refusing.add("tenant.concurrent_calls")
        excess = model.drain() + tokens * MINUTE_MS - TOKENS * MINUTE_MS
        if excess > 0:
            refusing.add("tenant.tokens_per_minute")

        answer = self.run(
            self.tenant.ask(
                self.engines[engine],
                self.limits[key],
                input_nano=amount,
                output_tokens=output,
                output_price_pico=1_000,
                min_output_tokens=least,
                tokens=tokens,
                lease_ms=lease_ms,
            )
        )

        if refusing:
            assert not isinstance(answer, Admitted)
            assert answer.limit.name in refusing
            if answer.limit.name in room:
                assert answer.remaining == max(0, room[answer.limit.name])
            elif answer.limit.name == "tenant.tokens_per_minute":
                assert answer.retry_after == math.ceil(excess / TOKENS) / 1000
            return multiple()
        assert isinstance(answer, Admitted)
        assert (answer.granted_output_tokens, answer.hold_nano) == (fitting, amount + fitting)
        model.fill += tokens * MINUTE_MS
        lease = Lease(answer, engine, key, amount + fitting, model.now + lease_ms, tokens=tokens)
        model.leases.append(lease)
        return lease

    @rule(milliseconds=st.sampled_from([1, 500, 5_000, 30_000, 450_000]))
    def wait(self, milliseconds):
        self.clock.advance(milliseconds)
        self.model.now += milliseconds

    @rule(lease=open_calls, share=st.floats(0, 1))
    def commit(self, lease, share):
        amount = int((lease.hold - lease.committed) * share)
        # An owner makes sure of its lease before it commits (AdmissionEngine.ensure_lease).
        if lease.is_owned and amount and lease.expiry > self.model.now:
            self.tenant.commit(lease.admitted, amount)
            lease.committed += amount

    @rule(lease=consumes(open_calls), used=st.none() | st.integers(0, 200))
    def settle(self, lease, used):
        if not lease.is_owned:
            return
        had_slot = not lease.is_over
        settled = self.run(self.engines[lease.engine].settle(lease.admitted, lease.committed, used))
        again = self.run(self.engines[lease.engine].settle(lease.admitted, lease.committed, used))
        if lease.expiry > self.model.now:
            assert settled.status is SettleStatus.SETTLED
        assert again.status is SettleStatus.ALREADY
        if (
            settled.status is SettleStatus.SETTLED
            and had_slot
            and used is not None
            and lease.tokens is not None
        ):
            self.model.fill = max(0, self.model.drain() + (used - lease.tokens) * MINUTE_MS)
        lease.is_over = True

    @rule(lease=consumes(open_calls))
    def release(self, lease):
        if not lease.is_owned or lease.committed:
            return
        status = self.run(self.engines[lease.engine].release(lease.admitted)).status
        if status is SettleStatus.SETTLED and lease.tokens is not None:
            self.model.fill = max(0, self.model.drain() - lease.tokens * MINUTE_MS)
        lease.is_over = True

    @rule(lease=open_calls, lease_ms=st.sampled_from([1_000, 20_000]))
    def extend(self, lease, lease_ms):
        if lease.is_owned and not lease.is_over and lease.expiry > self.model.now:
            assert self.run(self.engines[lease.engine].extend(lease.admitted, lease_ms))
            lease.expiry = self.model.now + lease_ms

    @rule(lease=consumes(open_calls))
    def owner_dies(self, lease):
        self.engines[lease.engine]._leases.remove(lease.admitted)
        lease.is_owned = False

    @rule(key=st.sampled_from(KEYS))
    def counters_are_lost(self, key):
        counters = self.limits[key].at(self.clock.now()).counters
        self.run(self.engines[0].invalidate_budgets(self.tenant.id, counters))

    @rule()
    def everything_is_lost(self):
        self.tenant.valkey.flushdb()
        for engine in self.engines:
            self.run(engine._recovery.beat())
        self.model.fill = 0
        for lease in self.model.leases:
            lease.tokens = None
            # What its owner remembers is put back; of the others only the ledger tells.
            lease.is_over = lease.is_over or not lease.is_owned

    @precondition(lambda self: hasattr(self, "tenant"))
    @invariant()
    def no_counter_exceeds_its_limit(self):
        for name in self.tenant.valkey.scan_iter(f"lockstep:{{{self.tenant.id.hex}}}:b:*"):
            if name.endswith(":late"):
                continue
            spent, reserved = self.tenant.counter_named(name.split(":b:")[1])
            limit = TENANT_LIMIT if ":b:t:" in name else KEY_LIMIT
            assert reserved >= 0
            assert (spent or 0) + reserved <= limit

    def teardown(self):
        if not hasattr(self, "tenant"):
            return
        for lease in self.model.leases:
            if lease.is_owned and not lease.is_over:
                self.run(self.engines[lease.engine].settle(lease.admitted, lease.committed))
        self.clock.advance(500_000)
        for key in KEYS:
            self.run(self.tenant.ask(self.engines[0], self.limits[key], input_nano=TENANT_LIMIT + 1))
            for window in self.limits[key].at(self.clock.now()).budgets:
                ledger = self.tenant.ledger.total(self.tenant.id.hex, window)
                assert self.tenant.counter(window) == (ledger, 0)
        assert self.tenant.valkey.zcard(f"lockstep:{{{self.tenant.id.hex}}}:leases") == 0
        for engine in self.engines:
            self.run(engine.stop())
        self.loop.close()
        self.tenant.valkey.close()


def test_random_histories_agree_with_the_model(shared_server: Server) -> None:
    machine = type("AdmissionOnServer", (Admission,), {"server": shared_server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
