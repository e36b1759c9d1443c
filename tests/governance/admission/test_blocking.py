"""Admission from threads and forked workers, with the ledger read where the asking thread is."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from apps.governance.admission.ask import Admitted, Ask
from apps.governance.admission.blocking import BlockingAdmission
from apps.governance.admission.errors import GovernanceUnavailable
from apps.governance.admission.limits import LimitSet
from apps.governance.admission.types import (
    MONTH,
    BudgetWindow,
    Refused,
    SettleStatus,
    Spent,
    Stale,
    budget,
)
from tests.governance.admission.conftest import Server


class Books:
    """A ledger in memory that remembers which threads read it."""

    def __init__(self) -> None:
        self.amounts: dict[str, int] = {}
        self.readers: list[int] = []

    def spent(self, budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent:
        self.readers.append(threading.get_ident())
        total = sum(self.amounts.values())
        return Spent({window.counter: total for window in budgets})

    def of(self, call_ids: Sequence[str]) -> Mapping[str, int]:
        self.readers.append(threading.get_ident())
        return {call_id: self.amounts.get(call_id, 0) for call_id in call_ids}


@pytest.fixture
def admission(shared_server: Server) -> Iterator[BlockingAdmission]:
    blocking = BlockingAdmission(shared_server.url, recovery_ms=0)
    yield blocking
    blocking.close()


@pytest.fixture
def tenant_id() -> UUID:
    return uuid4()


def ask(
    admission: BlockingAdmission,
    limits: LimitSet,
    books: Books,
    call_id: str,
    amount: int,
    lease_ms: int = 60_000,
) -> Admitted | Refused:
    epoch = 0
    while True:
        question = Ask(call_id, limits, epoch, input_nano=amount, lease_ms=lease_ms)
        answer = admission.admit(question, spent=books.spent, ledger_amounts=books.of)
        if not isinstance(answer, Stale):
            return answer
        epoch = answer.epoch


def test_a_worker_admits_settles_and_reads_its_ledger_in_its_own_thread(
    admission: BlockingAdmission, tenant_id: UUID
) -> None:
    limits = LimitSet(tenant_id, [budget("tenant.spend_per_month", 1_000, MONTH)])
    books = Books()
    books.amounts["before"] = 300

    call = ask(admission, limits, books, "a", 700)
    refused = ask(admission, limits, books, "b", 1)
    settled = admission.settle(call, 100)
    again = ask(admission, limits, books, "c", 600)

    assert isinstance(call, Admitted)
    assert isinstance(refused, Refused)
    assert settled.status is SettleStatus.SETTLED
    assert again.budgets()[0][1:] == (400, 600)
    assert books.readers == [threading.get_ident()]
    assert admission.extend(again)
    assert admission.release(again).status is SettleStatus.SETTLED


def test_many_threads_share_one_budget_exactly(admission: BlockingAdmission, tenant_id: UUID) -> None:
    limits = LimitSet(tenant_id, [budget("tenant.spend_per_month", 1_000, MONTH)])
    books = Books()

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda i: ask(admission, limits, books, f"c{i}", 100), range(60)))

    assert sum(isinstance(answer, Admitted) for answer in answers) == 10
    assert len(books.readers) == 1


def test_orphans_that_refuse_a_thread_are_looked_up_in_it(
    admission: BlockingAdmission, tenant_id: UUID
) -> None:
    limits = LimitSet(tenant_id, [budget("tenant.spend_per_month", 1_000, MONTH)])
    books = Books()
    ask(admission, limits, books, "dead", 1_000, lease_ms=1)
    books.amounts["dead"] = 400
    time.sleep(0.005)

    call = ask(admission, limits, books, "next", 600)

    assert isinstance(call, Admitted)
    assert call.budgets()[0][1:] == (400, 600)
    assert books.readers == [threading.get_ident()] * 2


def test_what_the_ledger_raises_reaches_the_thread(admission: BlockingAdmission, tenant_id: UUID) -> None:
    limits = LimitSet(tenant_id, [budget("tenant.spend_per_month", 1_000, MONTH)])
    books = Books()

    def broken(budgets: Sequence[BudgetWindow], open_calls: Sequence[str]) -> Spent:
        raise ConnectionError("the ledger is away")

    books.spent = broken

    with pytest.raises(ConnectionError, match="the ledger is away"):
        ask(admission, limits, books, "a", 1)


def test_a_service_announces_its_change_around_its_commit(
    admission: BlockingAdmission, tenant_id: UUID
) -> None:
    limits = LimitSet(tenant_id, [])
    books = Books()

    mark = admission.announce_change_begin(tenant_id)
    during = admission.admit(Ask("a", limits, 0), spent=books.spent, ledger_amounts=books.of)
    epoch = admission.announce_change_end(tenant_id, mark)

    assert isinstance(during, Stale)
    assert during.dirty
    answer = admission.admit(Ask("b", limits, epoch), spent=books.spent, ledger_amounts=books.of)
    assert isinstance(answer, Admitted)


def test_a_change_that_cannot_be_announced_is_refused() -> None:
    admission = BlockingAdmission("redis://127.0.0.1:1")

    with pytest.raises(GovernanceUnavailable):
        admission.announce_change_begin(uuid4())

    admission.close()


def test_a_forked_worker_has_an_engine_of_its_own(admission: BlockingAdmission, tenant_id: UUID) -> None:
    limits = LimitSet(tenant_id, [budget("tenant.spend_per_month", 1_000, MONTH)])
    books = Books()
    ask(admission, limits, books, "parent", 600)

    child = os.fork()
    if child == 0:
        try:
            assert isinstance(ask(admission, limits, books, "child", 500), Refused)
            assert isinstance(ask(admission, limits, books, "child", 400), Admitted)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ask(admission, limits, books, "late", 1).remaining == 0
