"""Providers that lie: about usage, about the body's type and size, about where to go."""

import asyncio
import json
import zlib

import aiohttp
import anthropic
import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = "/v1/chat/completions"
TOLD = {"include_usage": True}


def body(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": HELLO, "max_tokens": 500, **more}


def test_a_usage_override_is_told_and_billed(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    simulator.add_fault({"usage": {"prompt_tokens": 2006, "cached_tokens": 1920, "completion_tokens": 300}})

    whole = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    streamed = list(
        openai_client.chat.completions.create(
            model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )[-1]

    for usage in (whole.usage, streamed.usage):
        assert usage is not None and usage.prompt_tokens_details is not None
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (2006, 300, 2306)
        assert usage.prompt_tokens_details.cached_tokens == 1920
    assert [entry["usage"]["total_tokens"] for entry in simulator.served()] == [2306, 2306]


def test_a_usage_that_is_only_told_is_not_billed(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    simulator.add_fault({"reported_usage": {"output_tokens": 1_000_000}, "output_tokens": 5})

    message = anthropic_client.messages.create(model="claude", max_tokens=50, messages=HELLO)

    [served] = simulator.served()
    assert message.usage.output_tokens == served["reported_usage"]["output_tokens"] == 1_000_000
    assert served["usage"]["output_tokens"] == 5


async def test_usage_may_be_missing_and_is_billed_all_the_same(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    texts = []
    for path in (CHAT, "/v1/messages"):
        async with raw.post(path, json=body("sim-nousage+out-5")) as answer:
            texts.append(await answer.text())
    async with raw.post(CHAT, json=body("sim-nousage+out-5", stream=True, stream_options=TOLD)) as answer:
        texts.append((await answer.text()).replace('"usage":null', ""))
    async with raw.post("/v1/messages", json=body("sim-nousage+out-5", stream=True)) as answer:
        texts.append(await answer.text())

    assert ["usage" in text.replace("sim-nousage", "") for text in texts] == [False] * 4
    counted = [
        entry["usage"].get("completion_tokens", entry["usage"].get("output_tokens"))
        for entry in simulator.served()
    ]
    assert counted == [5, 5, 5, 5]


async def test_usage_may_be_negative(raw: aiohttp.ClientSession, simulator: SimulatorControl) -> None:
    async with raw.post(CHAT, json=body("sim-negative+out-5")) as answer:
        told = json.loads(await answer.read())["usage"]

    assert (told["prompt_tokens"], told["completion_tokens"]) == (-7, -5)
    assert simulator.served()[0]["usage"]["completion_tokens"] == 5


async def test_usage_may_come_twice_and_is_billed_once(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    async with raw.post(CHAT, json=body("sim-dupusage+out-5", stream=True, stream_options=TOLD)) as answer:
        chat = await answer.text()
    async with raw.post("/v1/messages", json=body("sim-dupusage+out-5", stream=True)) as answer:
        messages = await answer.text()

    assert (chat.count('"completion_tokens":5'), messages.count("event: message_delta")) == (2, 2)
    assert len(simulator.served()) == 2


async def test_the_last_usage_of_a_message_may_be_sparse(raw: aiohttp.ClientSession) -> None:
    async with raw.post("/v1/messages", json=body("sim-sparse+out-5", stream=True)) as answer:
        text = await answer.text()

    assert '"usage":{"output_tokens":5}}' in text


async def test_the_content_type_may_be_wrong(raw: aiohttp.ClientSession, simulator: SimulatorControl) -> None:
    async with raw.post(CHAT, json=body("sim-wrongtype")) as whole:
        assert json.loads(await whole.read())["object"] == "chat.completion"
    simulator.add_fault({"wrong_content_type": "application/octet-stream", "status": 500})
    async with raw.post(CHAT, json=body("gpt-4o")) as refused:
        pass

    assert whole.headers["content-type"] == "text/html; charset=utf-8"
    assert (refused.status, refused.headers["content-type"]) == (500, "application/octet-stream")


async def test_json_may_be_invalid_whole_or_within_a_stream(
    raw: aiohttp.ClientSession, openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    async with raw.post(CHAT, json=body("sim-badjson")) as answer:
        with pytest.raises(json.JSONDecodeError):
            json.loads(await answer.read())
    with pytest.raises(json.JSONDecodeError):
        list(openai_client.chat.completions.create(model="sim-badjson", messages=HELLO, stream=True))

    assert len(simulator.settled()) == 2


async def test_a_stream_may_be_no_event_stream(raw: aiohttp.ClientSession) -> None:
    async with raw.post(CHAT, json=body("sim-badsse", stream=True)) as answer:
        received = await answer.read()

    with pytest.raises(UnicodeDecodeError):
        received.decode()
    assert received.endswith(b"data: [DONE]\n\n")


async def test_a_redirect_leads_where_the_simulator_notices(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    async with raw.post(CHAT, json=body("sim-redirect"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["location"]) == (307, "/_redirected")
    assert [entry["endpoint"] for entry in simulator.served(billed="any")] == ["chat.completions"]

    async with raw.post(CHAT, json=body("sim-redirect")) as answer:
        assert answer.status == 200
    assert simulator.served(billed="any")[-1]["endpoint"] == "redirected"
    assert simulator.served() == []


async def test_a_gzip_bomb_expands_a_thousandfold(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    async with raw.post(CHAT, json=body("sim-bomb-8+out-5")) as answer:
        received = await answer.read()

    assert answer.headers["content-encoding"] == "gzip"
    assert len(zlib.decompress(received, 31)) == 8 << 20
    assert len(received) < 20_000
    assert simulator.settled()[0]["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("stream", [True, False])
async def test_an_endless_body_goes_on_until_the_client_has_enough(
    raw: aiohttp.ClientSession, simulator: SimulatorControl, stream: bool
) -> None:
    received = 0
    async with raw.post(CHAT, json=body("sim-endless", stream=stream)) as answer:
        async for piece in answer.content.iter_any():
            received += len(piece)
            if received > 2_000_000:
                break

    [served] = await asyncio.to_thread(simulator.settled)
    assert served["ended"] == "client_gone"
    assert served["usage"]["completion_tokens"] > 0
