"""A simulator for this folder's tests, and the official clients pointed at it."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import anthropic
import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl, running_model_simulator

KEY = "sk-test-1234"


@pytest.fixture(scope="session")
def simulator_url() -> Iterator[str]:
    with running_model_simulator() as url:
        yield url


@pytest.fixture
def simulator(simulator_url: str) -> SimulatorControl:
    control = SimulatorControl(simulator_url)
    control.reset()
    return control


@pytest.fixture
def openai_client(simulator: SimulatorControl) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_openai_client(simulator: SimulatorControl) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(simulator: SimulatorControl) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=simulator.url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def async_anthropic_client(simulator: SimulatorControl) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=simulator.url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
async def raw(simulator: SimulatorControl) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that hides nothing, with both dialects' credentials."""
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01"}
    async with aiohttp.ClientSession(simulator.url, headers=headers, auto_decompress=False) as session:
        yield session
