"""What processes that died leave behind: their spool and their leases, whoever comes upon them."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from uuid_utils.compat import uuid7

from apps.ai_usage import dead_leases
from apps.ai_usage.ledger.records import Record
from apps.ai_usage.ledger.spool import Spool
from apps.ai_usage.models import Call, UsageEvent
from apps.governance.standing_budgets import standing_budgets
from apps.governance.types import Actor
from apps.keys.services import issue_child_key, rotate_key
from apps.tenancy.services import in_tenant
from tests.factories.keys import as_key, make_key
from tests.system import running_web, wait_for


def orphan_spool(home: Path, caller, price: str) -> None:
    """One call of a process that is gone, acknowledged and not in PostgreSQL yet: like the caller's last."""
    with in_tenant(caller.tenant):
        call = Call.objects.order_by("-started_at").values().first()
        event = UsageEvent.objects.order_by("-occurred_at").values().first()
    call_id = uuid7()
    event.pop("received_at")
    plain = {"cost": "0", "price": price}
    record = Record(
        caller.tenant,
        call | plain | {"id": call_id, "key_id": caller.key_id},
        [],
        [event | plain | {"id": uuid7(), "call_id": call_id, "key_id": caller.key_id, "lines": []}],
    )
    spool = Spool(home / "spool", limit=2**30)
    spool.append([record])
    spool.rotate()


def code_of(answer: requests.Response) -> str:
    return answer.json().get("error", {}).get("code", "")


def test_a_dead_processes_spool_is_counted_by_whoever_replays_it_also_in_budgets_it_never_heard_of(
    new_caller, services, simulator, tmp_path
):
    caller = new_caller(spend_per_month="1")
    assert caller.chat().status_code == 200
    orphan_spool(tmp_path, caller, "0.9999999")

    # Another web process, which has had no call of this tenant, takes the file over.
    with running_web(services, home=tmp_path):
        wait_for(lambda: len(caller.events()) == 2)
        wait_for(lambda: not list((tmp_path / "spool").glob("*.jsonl")))
        refused = caller.chat()

    assert refused.status_code == 429
    assert code_of(refused) == "insufficient_quota"


def test_a_childs_late_event_counts_against_its_parents_budget(new_caller, services, simulator, tmp_path):
    from apps.governance.models import Budget

    caller = new_caller()
    with in_tenant(caller.tenant):
        parent = make_key(scopes=["inference:write", "keys:write"])
        child = issue_child_key(parent.key.id, actor=as_key(parent), name="child")
        Budget.objects.create(
            level="key",
            subject_id=parent.key.id,
            unit="money",
            window="month",
            amount=Decimal(1),
            hard=True,
        )
    caller = replace(caller, secret=parent.secret, key_id=parent.key.id)
    assert caller.chat().status_code == 200
    orphan_spool(tmp_path, replace(caller, key_id=child.key.id), "0.9999999")

    with running_web(services, home=tmp_path):
        wait_for(lambda: len(caller.events()) == 2)
        wait_for(lambda: not list((tmp_path / "spool").glob("*.jsonl")))
        refused = caller.chat()

    assert code_of(refused) == "insufficient_quota"


def test_what_a_dead_processes_call_holds_is_given_back_though_nobody_calls_again(
    new_caller, services, simulator, tmp_path
):
    caller = new_caller(spend_per_month="1")
    simulator.add_fault({"latency_ms": 60_000}, match={"model": "gpt-4o-mini"}, times=1)
    with running_web(services, home=tmp_path, GATEWAY_LEASE_SECONDS="1") as dying:
        caller.web = dying
        call = threading.Thread(target=lambda: hang_up_on(caller))
        call.start()
        wait_for(lambda: held(caller) > 0)
        dying.kill()
        call.join()
    simulator.reset()
    before = dead_leases.end_expired_leases()
    held_before = held(caller)

    wait_for(dead_leases.end_expired_leases, seconds=30)

    assert (before, held_before > 0) == (0, True)
    assert held(caller) == 0
    assert dead_leases.end_expired_leases() == 0


def hang_up_on(caller) -> None:
    with pytest.raises(requests.RequestException):
        caller.chat()


def held(caller) -> Decimal:
    with in_tenant(caller.tenant):
        return sum(
            (budget.reserved or Decimal(0) for budget in standing_budgets(datetime.now(UTC))), Decimal(0)
        )


def test_a_successor_of_a_key_repeats_its_predecessors_call(caller, simulator):
    since = simulator.last_seq()
    named = {"idempotency-key": "across-rotation"}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Once."}]}
    first = caller.post("/v1/chat/completions", body, headers=named)
    with in_tenant(caller.tenant):
        successor = rotate_key(caller.key_id, actor=Actor.system("tests"))

    caller.secret = successor.secret
    again = caller.post("/v1/chat/completions", body, headers=named)

    assert again.content == first.content
    assert again.headers["x-lockstep-idempotent-replay"] == "true"
    assert len(simulator.settled(since=since)) == len(caller.events()) == 1


def test_another_keys_same_name_is_another_call(caller, simulator):
    since = simulator.last_seq()
    named = {"idempotency-key": "own-to-each-key"}
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Once."}]}
    caller.post("/v1/chat/completions", body, headers=named)
    with in_tenant(caller.tenant):
        caller.secret = make_key().secret

    answer = caller.post("/v1/chat/completions", body, headers=named)

    assert answer.status_code == 200
    assert "x-lockstep-idempotent-replay" not in answer.headers
    assert len(simulator.settled(since=since)) == len(caller.events()) == 2
