"""A thousand calls at once on a budget with room for fifty: fifty are let in, and a killed process leaks nothing."""

import asyncio
import threading
import time
from decimal import Decimal

import aiohttp
import pytest
import redis

from tests.system import running_web, wait_for

LEASE_SECONDS = 3
ASK = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "What do you think of the sea?"}],
    # No less could be granted in its place, so that each call holds the same.
    "max_tokens": 64,
}


@pytest.fixture
def held_back(simulator):
    """Answers come when the test lets them."""
    simulator.add_fault({"held": True}, match={"model": "gpt-4o-mini"})
    yield simulator
    simulator.reset()


class Crowd(threading.Thread):
    """Calls that are made at once, and what becomes of them."""

    def __init__(self, web, caller, count):
        super().__init__()
        self.refused, self.answered, self.lost = [], [], 0
        self._web, self._caller, self._count = web, caller, count
        self.start()

    def run(self):
        asyncio.run(self._call())

    async def _call(self):
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._one(session) for _ in range(self._count)))

    async def _one(self, session):
        headers = {"authorization": f"Bearer {self._caller.secret}"}
        try:
            async with session.post(
                f"{self._web.url}/v1/chat/completions", json=ASK, headers=headers
            ) as answer:
                (self.answered if answer.status == 200 else self.refused).append(await answer.json())
        except aiohttp.ClientError:
            self.lost += 1


class Counter:
    """A tenant's counter of a month's spending."""

    def __init__(self, services, tenant):
        self._valkey = redis.Redis.from_url(services.valkey_url, decode_responses=True)
        self._names = f"lockstep:{{{tenant.id.hex}}}:b:*"

    def __getitem__(self, field):
        (name,) = [name for name in self._valkey.keys(self._names) if not name.endswith(":late")]
        return int(self._valkey.hget(name, field) or 0)


def test_exactly_what_fits_is_let_in_and_a_kill_leaks_nothing(services, held_back, new_caller):
    measured = new_caller(spend_per_month="100")
    with running_web(services, GATEWAY_LEASE_SECONDS=str(LEASE_SECONDS)) as web:
        one = Crowd(web, measured, 1)
        wait_for(lambda: held_back.in_progress() == 1)
        hold = Counter(services, measured.tenant)["r"]
        held_back.release()
        one.join()
        # Room for fifty, and for half of one more.
        budget = Decimal(hold * 50 + hold // 2) / 10**9
        caller = new_caller(spend_per_month=str(budget))
        counter = Counter(services, caller.tenant)

        crowd = Crowd(web, caller, 1000)
        wait_for(lambda: len(crowd.refused) + held_back.in_progress() == 1000, 90)
        admitted, reserved = held_back.in_progress(), counter["r"]
        web.kill()
        crowd.join()
    held_back.release()

    assert (admitted, len(crowd.refused), crowd.lost, crowd.answered) == (50, 950, 50, [])
    assert {refusal["error"]["code"] for refusal in crowd.refused} == {"insufficient_quota"}
    assert reserved == 50 * hold
    assert caller.events() == []

    # What the dead process held is free when its leases end, all of it and no more.
    time.sleep(LEASE_SECONDS)
    with running_web(services, GATEWAY_LEASE_SECONDS=str(LEASE_SECONDS)) as web:
        again = Crowd(web, caller, 200)
        wait_for(lambda: len(again.refused) + held_back.in_progress() == 200, 60)
        admitted = held_back.in_progress()
        held_back.release()
        again.join()
        wait_for(lambda: counter["r"] == 0)

        events = caller.events()
        assert (admitted, len(again.refused), len(again.answered)) == (50, 150, 50)
        assert len(events) == 50
        assert counter["s"] == sum(-int(-event.price * 10**9 // 1) for event in events)
        assert sum(event.price for event in events) <= budget
