"""The simulator as a process, and its log under several clients at once."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl, running_model_simulator

HELLO = [{"role": "user", "content": "Hello"}]


def test_it_stops_on_sigterm_within_moments() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.model_simulator", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()

    process.send_signal(signal.SIGTERM)

    assert said.startswith("Model simulator ready on http://127.0.0.1:")
    assert process.wait(5) == 0
    assert process.stdout.read() == ""
    process.stdout.close()


async def test_the_log_is_filtered_by_who_what_and_when(
    async_openai_client: openai.AsyncOpenAI, simulator: SimulatorControl
) -> None:
    async def ask(number: int) -> str:
        answer = await async_openai_client.chat.completions.create(
            model=f"model-{number % 3}",
            messages=HELLO,
            user=f"user-{number % 2}",
            extra_headers={"x-client-request-id": f"attempt-{number}"},
        )
        return answer.id

    started = datetime.now(UTC)
    ids = await asyncio.gather(*[ask(number) for number in range(30)])
    middle = simulator.last_seq()
    await ask(30)

    assert {entry["response_id"] for entry in simulator.served(since=0)} >= set(ids)
    assert len(simulator.served()) == 31
    assert len(simulator.served(model="model-1")) == 10
    assert len(simulator.served(model="model-1", user="user-0")) == 5
    assert [entry["client_request_id"] for entry in simulator.served(since=middle)] == ["attempt-30"]
    assert len(simulator.served(since=started.isoformat())) == 31
    assert simulator.served(since=time.time() + 60) == []
    assert simulator.served(client_request_id="attempt-7")[0]["response_id"] == ids[7]
    assert len(simulator.served(limit=4)) == 4


def test_the_log_never_holds_a_key(openai_client: openai.OpenAI, simulator: SimulatorControl) -> None:
    openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)

    [served] = simulator.served()
    assert "sk-test-1234" not in str(served)
    assert len(served["api_key_digest"]) == 16


def test_the_fixture_for_other_tests_leaves_nothing_running() -> None:
    with running_model_simulator() as url:
        assert SimulatorControl(url).served() == []

    with pytest.raises(ConnectionRefusedError):
        SimulatorControl(url).served()
