"""PostgreSQL, Valkey or the process itself goes away in mid-traffic: clear 503s, nothing lost, nothing doubled."""

import json
import threading
import time
from contextlib import ExitStack
from decimal import Decimal

import psycopg
import pytest
import redis
import requests

from tests.island import Island, wait_until

LEASE_SECONDS = 2


class Outages(Island):
    """An island with tenants, the first of them as the caller."""

    def __init__(self, directory, stack):
        super().__init__(directory, stack, lease_seconds=LEASE_SECONDS)
        self.tenant, *_ = json.loads(self.run("-m", "tests.faults.world", "make"))
        self.secret = self.tenant["keys"][0]["secret"]

    def call(self, web, headers=None, **more):
        return requests.post(
            f"{web.url}/v1/chat/completions",
            json={"model": "small", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20} | more,
            headers={"authorization": f"Bearer {self.secret}"} | (headers or {}),
            timeout=30,
        )

    def ledger(self):
        """{provider request id: price} of every event of the tenant."""
        schema = self.tenant["schema"]
        with psycopg.connect(self.services.superuser_url) as conn:
            rows = conn.execute(
                f"SELECT provider_request_id, price FROM {schema}.ai_usage_usageevent"
            ).fetchall()
        assert len({name for name, _ in rows}) == len(rows)
        return dict(rows)


@pytest.fixture(scope="module")
def island(tmp_path_factory):
    with ExitStack() as stack:
        yield Outages(tmp_path_factory.mktemp("island"), stack)


def test_without_postgresql_known_callers_are_served_and_every_event_arrives_when_it_is_back(island):
    with island.web() as web:
        assert island.call(web).status_code == 200
        since = island.simulator.last_seq()
        island.stop("postgres")

        answers = [island.call(web) for _ in range(5)]
        unknown = requests.get(
            f"{web.url}/v1/models",
            headers={"authorization": "Bearer " + island.secret, "host": "acme.localhost"},
        )
        page = requests.get(f"{web.url}/api/v1/whoami", headers={"authorization": f"Bearer {island.secret}"})
        ready = requests.get(f"{web.url}/health/ready")
        island.start("postgres")
        served = {entry["request_id"] for entry in island.simulator.settled(since=since)}
        wait_until(lambda: served <= set(island.ledger()))
        wait_until(lambda: requests.get(f"{web.url}/health/ready").status_code == 200)

        assert [answer.status_code for answer in answers] == [200] * 5
        assert len(served) == 5
        assert unknown.status_code == 503
        assert (page.status_code, page.json()["code"]) == (503, "service_unavailable")
        assert (ready.status_code, ready.json()["away"]) == (503, ["postgresql"])
        assert island.call(web).status_code == 200


def test_without_valkey_money_is_not_spent_and_service_returns_without_a_restart(island):
    with island.web() as web:
        assert island.call(web).status_code == 200
        since = island.simulator.last_seq()
        island.stop("valkey")

        refused = island.call(web)
        island.start("valkey")
        wait_until(lambda: island.call(web).status_code == 200)

        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "governance_unavailable"
        assert "retry-after" in refused.headers
        assert len(island.simulator.settled(since=since)) >= 1


def test_an_answer_kept_for_repetitions_goes_through_the_spool_with_its_event(island):
    named = {"idempotency-key": "through-the-spool"}
    answers = []
    with island.web() as web:
        assert island.call(web).status_code == 200
        before = len(island.ledger())
        since = island.simulator.last_seq()
        island.simulator.add_fault({"latency_ms": 2500}, match={"model": "gpt-4o-mini"}, times=1)
        slow = threading.Thread(target=lambda: answers.append(island.call(web, headers=named)))
        slow.start()
        wait_until(lambda: island.simulator.served(since=since, billed="any"))
        island.stop("postgres")
        slow.join()
        island.start("postgres")
        wait_until(lambda: len(island.ledger()) == before + 1)

        again = island.call(web, headers=named)

    (first,) = answers
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["x-lockstep-idempotent-replay"] == "true"
    assert len(island.simulator.settled(since=since)) == 1
    assert len(island.ledger()) == before + 1


def test_a_web_process_killed_in_mid_call_loses_no_acknowledged_event_and_leaks_no_reservation(island):
    before = island.ledger()
    acknowledged = []

    def traffic(web):
        while True:
            try:
                answer = island.call(web)
            except requests.RequestException:
                return
            if answer.status_code == 200:
                acknowledged.append(answer.headers["x-lockstep-call-id"])

    with island.web() as web:
        assert island.call(web).status_code == 200
        island.simulator.add_fault(
            {"latency_ms": 300}, match={"model": "gpt-4o-mini"}, probability=0.3, seed=7
        )
        threads = [threading.Thread(target=traffic, args=(web,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        web.kill()
        for thread in threads:
            thread.join()
    island.simulator.reset()

    time.sleep(LEASE_SECONDS)
    with island.web() as web:
        # Room for one call and no more: only if nothing of the dead process is still held can it pass.
        assert island.call(web).status_code == 200
        wait_until(lambda: all_calls(island) >= set(acknowledged))
        assert reserved(island, web) == 0
    assert len(acknowledged) > 10
    assert set(before) <= set(island.ledger())
    assert spent_counter(island) == sum(
        (-int(-price * 10**9 // 1) for price in island.ledger().values()), Decimal(0)
    )


def all_calls(island):
    with psycopg.connect(island.services.superuser_url) as conn:
        rows = conn.execute(f"SELECT call_id FROM {island.tenant['schema']}.ai_usage_usageevent")
        return {str(row[0]) for row in rows}


def budget_counter(island):
    valkey = redis.Redis.from_url(island.services.valkey_url, decode_responses=True)
    tenant = island.tenant["id"].replace("-", "")
    (name,) = [key for key in valkey.keys(f"lockstep:{{{tenant}}}:b:*") if not key.endswith(":late")]
    return valkey.hgetall(name)


def reserved(island, web):
    """What is still held once nothing is under way; the next caller is the one who tidies up after the dead."""
    until = time.monotonic() + 15
    while (held := int(budget_counter(island).get("r", 0))) and time.monotonic() < until:
        time.sleep(0.3)
        island.call(web)
        time.sleep(0.3)
    return held


def spent_counter(island):
    return int(budget_counter(island)["s"])
