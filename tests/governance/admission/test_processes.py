"""Several processes at one budget, some of them killed: the limit holds throughout and nothing stays
reserved.
"""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.governance.admission.types import BudgetWindow
from tests.governance.admission.client_process import limits_of
from tests.governance.admission.conftest import MakeEngine, Server
from tests.governance.admission.ledger import Ledger
from tests.governance.admission.tenant import Tenant

ROOT = Path(__file__).parents[3]
StartClient = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def file_tenant(own_server: Server, tmp_path: Path) -> Tenant:
    """A tenant whose ledger is a file, which survives those who write it."""
    return Tenant(uuid.uuid4(), Ledger(tmp_path / "ledger.sqlite"), own_server.port)


@pytest.fixture
def start_client(own_server: Server, file_tenant: Tenant, tmp_path: Path) -> Any:
    """Start processes that make calls; those still running are killed at the end of the test."""
    clients: list[subprocess.Popen[str]] = []

    def start(**options: int) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tests.governance.admission.client_process"]
        words += ["--port", str(own_server.port), "--tenant", file_tenant.id.hex]
        words += ["--ledger", str(tmp_path / "ledger.sqlite")]
        words += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        client = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.kill()
        client.wait()
        assert client.stdout is not None
        client.stdout.close()


def is_ready(client: "subprocess.Popen[str]") -> bool:
    assert client.stdout is not None
    return client.stdout.readline() == "ready\n"


async def watch(tenant: Tenant, windows: tuple[BudgetWindow, ...], seconds: float) -> int:
    """Look at the counters all the time; answer how often. Spent plus reserved never exceeds the limit."""
    looks = 0
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        for window in windows:
            spent, reserved = tenant.counter(window)
            assert reserved >= 0
            assert (spent or 0) + reserved <= window.limit.limit
            assert tenant.ledger.total(tenant.id.hex, window) <= window.limit.limit
        looks += 1
        await asyncio.sleep(0.002)
    return looks


async def test_processes_that_race_for_one_budget_spend_no_more_than_it_and_leave_nothing_reserved(
    own_server: Server, make_engine: MakeEngine, file_tenant: Tenant, start_client: StartClient
) -> None:
    engine = await make_engine(own_server)
    limits = limits_of(file_tenant.id, 2_000)
    windows = (await file_tenant.admitted(engine, limits, lease_ms=100)).compiled.budgets
    clients = [start_client(amount=2_000, seed=seed, asks=30, lease_ms=30_000) for seed in range(3)]

    watching = asyncio.create_task(watch(file_tenant, windows, 2.5))
    results = [await asyncio.to_thread(client.communicate) for client in clients]
    await watching
    await file_tenant.ask(engine, limits, input_nano=2_000)

    admitted = sum(int(output.split()[1]) for output, _ in results)
    spent = file_tenant.ledger.total(file_tenant.id.hex)
    assert admitted > 20
    assert [file_tenant.counter(window) for window in windows] == [(spent, 0)] * 2


@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_processes_return_what_they_held_and_what_they_committed_counts_once(
    own_server: Server, make_engine: MakeEngine, file_tenant: Tenant, start_client: StartClient, seed: int
) -> None:
    engine = await make_engine(own_server)
    limits = limits_of(file_tenant.id, 100_000)
    windows = (await file_tenant.admitted(engine, limits, lease_ms=1)).compiled.budgets

    for turn in range(3):
        clients = [start_client(amount=100_000, seed=seed * 100 + turn * 10 + i) for i in range(2)]
        assert all([await asyncio.to_thread(is_ready, client) for client in clients])
        await watch(file_tenant, windows, 0.15)
        for client in clients:
            client.kill()
    held = file_tenant.counter(windows[0])[1]
    await asyncio.sleep(0.35)
    refused = await file_tenant.refused(engine, limits, input_nano=100_001)

    spent = file_tenant.ledger.total(file_tenant.id.hex)
    assert held > 0
    assert spent > 0
    assert [file_tenant.counter(window) for window in windows] == [(spent, 0)] * 2
    assert refused.remaining == 100_000 - spent
    # The ledger agrees when asked anew, so nothing was counted twice on the way.
    await engine.invalidate_budgets(file_tenant.id, [window.counter for window in windows])
    await file_tenant.admitted(engine, limits)
    assert [file_tenant.counter(window) for window in windows] == [(spent, 0)] * 2


async def test_the_limit_holds_across_losses_of_valkeys_data_under_load(
    own_server: Server, make_engine: MakeEngine, file_tenant: Tenant, start_client: StartClient
) -> None:
    engine = await make_engine(own_server, recovery_ms=500)
    limits = limits_of(file_tenant.id, 3_000)
    windows = (await file_tenant.admitted(engine, limits, lease_ms=1)).compiled.budgets
    clients = [start_client(amount=3_000, seed=seed, lease_ms=2_000) for seed in range(2)]
    assert all([await asyncio.to_thread(is_ready, client) for client in clients])

    for pause in (0.1, 0.7):
        await watch(file_tenant, windows, pause)
        file_tenant.valkey.flushall()
    await watch(file_tenant, windows, 1.0)
    for client in clients:
        client.kill()
    await asyncio.sleep(2.0)
    await file_tenant.ask(engine, limits, input_nano=3_000)

    spent = file_tenant.ledger.total(file_tenant.id.hex)
    assert 0 < spent <= 3_000
    assert [file_tenant.counter(window) for window in windows] == [(spent, 0)] * 2
