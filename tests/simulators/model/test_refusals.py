"""What each provider refuses, in its own words, and that a refusal is never billed."""

from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from deploy.local.model_simulator.testing import SimulatorControl, running_model_simulator

HELLO = [{"role": "user", "content": "Hello"}]
CHAT = "/v1/chat/completions"


async def test_a_missing_key_is_refused_in_the_dialect(simulator: SimulatorControl) -> None:
    async with aiohttp.ClientSession(simulator.url) as session:
        async with session.post(CHAT, json={"model": "m", "messages": HELLO}) as answer:
            openai_status, openai_body = answer.status, await answer.json()
            assert answer.headers["x-request-id"]
        async with session.post("/v1/messages", json={}) as answer:
            anthropic_status, anthropic_body = answer.status, await answer.json()
            request_id = answer.headers["request-id"]

    assert openai_status == anthropic_status == 401
    assert set(openai_body["error"]) == {"message", "type", "param", "code"}
    assert anthropic_body == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "x-api-key header is required"},
        "request_id": request_id,
    }
    assert simulator.served() == []


def test_only_the_configured_keys_are_accepted() -> None:
    with running_model_simulator(api_keys=("right",)) as url:
        wrong = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)
        right = anthropic.Anthropic(base_url=url, api_key="right", max_retries=0)

        with pytest.raises(openai.AuthenticationError) as refused:
            wrong.chat.completions.create(model="gpt-4o", messages=HELLO)

        assert refused.value.code == "invalid_api_key"
        assert right.messages.create(model="claude", max_tokens=9, messages=HELLO).usage.output_tokens == 9


async def test_anthropics_version_is_required(simulator: SimulatorControl) -> None:
    async with (
        aiohttp.ClientSession(simulator.url, headers={"x-api-key": "k"}) as session,
        session.post("/v1/messages", json={"model": "claude", "max_tokens": 9, "messages": HELLO}) as answer,
    ):
        body = await answer.json()

    assert answer.status == 400
    assert body["error"] == {
        "type": "invalid_request_error",
        "message": "anthropic-version: header is required",
    }


def test_a_model_that_does_not_exist_is_not_found(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        openai_client.chat.completions.create(model="no-such-model", messages=HELLO)
    with pytest.raises(anthropic.NotFoundError) as refused_too:
        anthropic_client.messages.create(model="no-such-model", max_tokens=9, messages=HELLO)

    assert refused.value.code == "model_not_found"
    assert refused_too.value.type == "not_found_error"
    assert simulator.served() == []
    assert [entry["status"] for entry in simulator.served(billed="any")] == [404, 404]
    assert [entry["ended"] for entry in simulator.served(billed="any")] == ["refused", "refused"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": HELLO}, None),
        (CHAT, {"model": "m"}, "messages"),
        (CHAT, {"model": "m", "messages": []}, "messages"),
        (CHAT, {"model": "m", "messages": "hi"}, "messages"),
        (CHAT, {"model": "m", "messages": [{"role": "boss", "content": "hi"}]}, "messages[0].role"),
        (CHAT, {"model": "m", "messages": [{"role": "user"}]}, "messages[0].content"),
        (CHAT, {"model": "m", "messages": HELLO, "max_tokens": 0}, "max_tokens"),
        (CHAT, {"model": "m", "messages": HELLO, "max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        (
            CHAT,
            {"model": "m", "messages": HELLO, "stream_options": {"include_usage": True}},
            "stream_options",
        ),
        (CHAT, {"model": "m", "messages": HELLO, "n": 0}, "n"),
        (CHAT, {"model": "m", "messages": HELLO, "tools": [{"type": "function"}]}, "tools[0].function"),
        (CHAT, {"model": "m", "messages": HELLO, "tool_choice": {"function": 7}}, None),
        ("/v1/responses", {"model": "m"}, "input"),
        ("/v1/responses", {"model": "m", "input": "hi", "background": True}, "background"),
        ("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 3}, "max_output_tokens"),
        ("/v1/embeddings", {"model": "m"}, "input"),
        ("/v1/embeddings", {"model": "m", "input": ""}, "input"),
        ("/v1/messages", {"max_tokens": 1, "messages": HELLO}, None),
        ("/v1/messages", {"model": "m", "messages": HELLO}, None),
        ("/v1/messages", {"model": "m", "max_tokens": 0, "messages": HELLO}, None),
        ("/v1/messages", {"model": "m", "max_tokens": 1, "messages": []}, None),
        (
            "/v1/messages",
            {"model": "m", "max_tokens": 1, "messages": [{"role": "tool", "content": "x"}]},
            None,
        ),
        ("/v1/messages/count_tokens", {"model": "m"}, None),
    ],
)
async def test_a_request_that_breaks_the_rules_is_a_400_in_the_dialect(
    raw: aiohttp.ClientSession,
    simulator: SimulatorControl,
    path: str,
    body: dict[str, Any],
    param: str | None,
) -> None:
    async with raw.post(path, json=body) as answer:
        refusal = await answer.json()

    assert answer.status == 400
    assert refusal["error"]["type"] == "invalid_request_error"
    if not path.startswith("/v1/messages"):
        assert refusal["error"]["param"] == param
    assert simulator.served() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "\xff"}'])
async def test_a_body_that_is_not_a_json_object_is_refused(raw: aiohttp.ClientSession, body: bytes) -> None:
    async with raw.post(CHAT, data=body, headers={"content-type": "application/json"}) as answer:
        assert answer.status == 400


async def test_other_paths_methods_and_types_are_refused(raw: aiohttp.ClientSession) -> None:
    text = {"content-type": "text/plain"}
    async with (
        raw.post("/v1/nothing", json={}) as unknown,
        raw.get(CHAT) as method,
        raw.post(CHAT, data=b"a=b", headers=text) as content_type,
    ):
        pass

    assert (unknown.status, method.status, content_type.status) == (404, 405, 400)
