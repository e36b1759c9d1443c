"""The books after a run: the ledger and what was made of it in PostgreSQL, counters and leases in Valkey, the spool."""

import time
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import redis
from psycopg.rows import namedtuple_row

from tests.faults.world import KEY_BUDGET
from tests.island import Island

_NANO = Decimal(10**9)
_PLAN_BUDGETS = {
    "roomy": {"month": "1000"},
    "tight": {"day": "0.02", "month": "0.03"},
    "narrow": {"month": "1000"},
}


@dataclass(frozen=True)
class Counter:
    """A budget's counter as Valkey has it, with the events that belong to it."""

    name: str
    tenant: Any
    subject: str
    spent: int
    reserved: int


class Books:
    """Reads everything anew on each question, except where it says that it remembers."""

    def __init__(self, island: Island, tenants: list[Any]) -> None:
        self._island = island
        self.tenants = tenants
        self._remembered: dict[Any, list[Any]] = {}

    def rows(self, tenant: Any, table: str) -> list[Any]:
        """The rows of a tenant's table, remembered: asked for when nothing changes any more."""
        which = (tenant["id"], table)
        if which not in self._remembered:
            self._remembered[which] = self.ask(f'SELECT * FROM "{tenant["schema"]}".{table}')
        return self._remembered[which]

    def events(self, tenant: Any) -> list[Any]:
        """The usage events of a tenant."""
        return self.rows(tenant, "ai_usage_usageevent")

    def ask(self, question: str, parameters: Any = ()) -> list[Any]:
        """Rows of any SQL, by name."""
        with psycopg.connect(
            self._island.services.superuser_url, options="-c TimeZone=UTC", row_factory=namedtuple_row
        ) as conn:
            return conn.execute(question, parameters).fetchall()

    def counters(self) -> list[Counter]:
        """Every budget counter of every tenant."""
        found = []
        with self._valkey() as valkey:
            for tenant in self.tenants:
                prefix = f"lockstep:{{{tenant['id'].replace('-', '')}}}:b:"
                for name in valkey.scan_iter(match=f"{_escaped(prefix)}*"):
                    if name.endswith(":late"):
                        continue
                    counter = valkey.hgetall(name)
                    found.append(
                        Counter(
                            name.removeprefix(prefix),
                            tenant,
                            name.removeprefix(prefix),
                            int(counter.get("s", -1)),
                            int(counter.get("r", 0)),
                        )
                    )
        return found

    def still_held(self) -> list[str]:
        """What is reserved, leased, taken or waiting although nobody calls."""
        held = [
            f"{counter.reserved} nano-units are reserved in {counter.tenant['plan']}'s {counter.name}"
            for counter in self.counters()
            if counter.reserved
        ]
        with self._valkey() as valkey:
            for tenant in self.tenants:
                prefix = f"lockstep:{{{tenant['id'].replace('-', '')}}}"
                if leases := valkey.zcard(f"{prefix}:leases"):
                    held.append(f"{leases} leases of {tenant['plan']} have not ended")
                for slots in valkey.scan_iter(match=f"{_escaped(prefix)}:c:*"):
                    if taken := valkey.zcount(slots, time.time() * 1000, "+inf"):
                        held.append(f"{taken} concurrency slots of {tenant['plan']} are taken")
        held += [
            f"the spool file {path.name} has {path.stat().st_size} bytes"
            for path in (self._island.directory / "spool").glob("*.jsonl*")
            if path.stat().st_size
        ]
        return held

    def _valkey(self) -> Any:
        return redis.Redis.from_url(self._island.services.valkey_url, decode_responses=True)


def _escaped(prefix: str) -> str:
    return prefix.replace("[", "\\[")


def spent_by_subject(events: list[Any]) -> dict[str, list[int]]:
    """{subject of a counter: nano-units of each event that counts for it}, each rounded up as settlement does."""
    spent: dict[str, list[int]] = defaultdict(list)
    for event in events:
        nano = -int(-event.price * _NANO // 1)
        for subject in ("t", f"o:{event.owner_id.hex}", f"k:{event.key_id.hex}"):
            spent[subject].append(nano)
    return spent


def hard_budgets(tenant: Any) -> dict[str, Decimal]:
    """{subject of a counter: the least of the budgets on it, whatever its window, in the tenant's currency}."""
    found = {"t": min(Decimal(amount) for amount in _PLAN_BUDGETS[tenant["plan"]].values())}
    found[f"k:{tenant['keys'][1]['id'].replace('-', '')}"] = Decimal(KEY_BUDGET[tenant["plan"]])
    return found
