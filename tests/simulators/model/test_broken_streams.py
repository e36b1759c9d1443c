"""Connections and streams that break: what the client sees, and what is billed all the same."""

import asyncio

import aiohttp
import anthropic
import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = "/v1/chat/completions"


def body(model: str, **more: object) -> dict[str, object]:
    return {"model": model, "messages": HELLO, "max_tokens": 500, **more}


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
async def test_a_cut_stream_is_billed_up_to_the_cut(
    raw: aiohttp.ClientSession, simulator: SimulatorControl, path: str
) -> None:
    received = b""
    with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
        async with raw.post(path, json=body("sim-cut-3+out-20", stream=True)) as answer:
            async for piece in answer.content.iter_any():
                received += piece

    [served] = simulator.settled()
    assert received.count(b'"content":"' if path == CHAT else b"text_delta") >= 3
    assert (served["ended"], served["completed"], served["output_tokens_produced"]) == ("cut", False, 3)
    assert served["usage"]["completion_tokens" if path == CHAT else "output_tokens"] == 3


def test_the_sdk_sees_a_cut_as_a_broken_connection(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    stream = openai_client.responses.create(model="sim-cut-2", input="Hello", stream=True)

    with pytest.raises(openai.APIConnectionError):
        list(stream)

    assert simulator.settled()[0]["usage"]["output_tokens"] == 2


async def test_a_body_cut_after_some_bytes_is_billed_in_full(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
        async with raw.post(CHAT, json=body("sim-cutbytes-100+out-20")) as answer:
            await answer.read()

    [served] = simulator.settled()
    assert (served["ended"], served["usage"]["completion_tokens"]) == ("cut", 20)


async def test_a_stream_may_end_early_and_politely(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    async with raw.post(CHAT, json=body("sim-close-2", stream=True)) as answer:
        received = await answer.read()

    assert b"[DONE]" not in received
    assert simulator.settled()[0]["usage"]["completion_tokens"] == 2


async def test_a_stream_may_lack_its_end(raw: aiohttp.ClientSession, simulator: SimulatorControl) -> None:
    async with raw.post(CHAT, json=body("sim-noend+out-4", stream=True)) as answer:
        received = await answer.read()

    assert b'"finish_reason":"stop"' in received and b"[DONE]" not in received
    assert simulator.settled()[0]["usage"]["completion_tokens"] == 4


async def test_a_client_that_goes_away_pays_for_what_was_produced(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    answer = await raw.post(CHAT, json=body("sim-chunk-20+out-400", stream=True))
    await answer.content.readany()
    await asyncio.sleep(0.1)
    answer.close()

    [served] = await asyncio.to_thread(simulator.settled)
    assert served["ended"] == "client_gone"
    assert 1 <= served["usage"]["completion_tokens"] <= 40
    assert served["usage"]["completion_tokens"] == served["output_tokens_produced"]


async def test_a_client_that_does_not_wait_pays_for_a_whole_answer(
    raw: aiohttp.ClientSession, simulator: SimulatorControl
) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(raw.post(CHAT, json=body("sim-latency-5000+out-30")), 0.1)

    [served] = await asyncio.to_thread(simulator.settled)
    assert (served["ended"], served["usage"]["completion_tokens"]) == ("client_gone", 30)


def test_a_provider_that_hangs_is_not_paid(simulator: SimulatorControl) -> None:
    client = openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="k", max_retries=0, timeout=0.15)

    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="sim-hang", messages=HELLO)

    assert simulator.settled() == []
    assert [entry["ended"] for entry in simulator.served(billed="any")] == ["client_gone"]


def test_a_stream_that_falls_silent_is_paid_until_then(simulator: SimulatorControl) -> None:
    client = openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="k", max_retries=0, timeout=0.15)
    stream = client.chat.completions.create(model="sim-hangafter-2", messages=HELLO, stream=True)

    with pytest.raises(openai.APITimeoutError):
        list(stream)

    assert simulator.settled()[0]["usage"]["completion_tokens"] == 2


def test_a_connection_may_end_without_a_word(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    with pytest.raises(openai.APIConnectionError):
        openai_client.chat.completions.create(model="sim-abort", messages=HELLO)

    assert simulator.settled() == []


def test_an_error_in_the_stream_reaches_the_openai_client(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    stream = openai_client.chat.completions.create(model="sim-streamerror-2", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="The server had an error"):
        list(stream)
    events = list(openai_client.responses.create(model="sim-streamerror-2", input="Hi", stream=True))

    assert events[-1].type == "error" and events[-1].code == "server_error"
    assert [entry["output_tokens_produced"] for entry in simulator.settled()] == [2, 2]


def test_an_error_in_the_stream_reaches_the_anthropic_client(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    stream = anthropic_client.messages.create(
        model="sim-streamerror-2", max_tokens=50, messages=HELLO, stream=True
    )

    with pytest.raises(anthropic.APIStatusError) as broken:
        list(stream)

    assert broken.value.type == "overloaded_error"
    [served] = simulator.settled()
    assert (served["ended"], served["usage"]["output_tokens"]) == ("cut", 2)


@pytest.mark.parametrize(
    "options", ["split-1", "split-7+splitseed-5", "crlf", "comments", "split-3+crlf+comments"]
)
def test_a_stream_in_arbitrary_pieces_means_the_same(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, options: str
) -> None:
    tail = f"sim-out-40+{options}"
    whole = openai_client.chat.completions.create(model=tail, messages=HELLO)
    pieces = openai_client.chat.completions.create(model=tail, messages=HELLO, stream=True)
    message = anthropic_client.messages.create(model=tail, max_tokens=50, messages=HELLO)
    with anthropic_client.messages.stream(model=tail, max_tokens=50, messages=HELLO) as stream:
        streamed = stream.get_final_text()

    text = whole.choices[0].message.content or ""
    assert not text.isascii()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in pieces) == text
    assert message.content[0].type == "text" and streamed == message.content[0].text


async def test_a_slow_trickle_sends_byte_after_byte(raw: aiohttp.ClientSession) -> None:
    async with raw.post(CHAT, json=body("sim-trickle-1+split-100+out-20")) as answer:
        sizes = [len(piece) async for piece in answer.content.iter_any()]

    assert len(sizes) > 3
    assert sum(sizes) == int(answer.headers["content-length"])
