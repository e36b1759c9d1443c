"""Messages, token counts and models, driven by the official Anthropic client."""

import json

import anthropic
import pytest

from deploy.local.model_simulator import tokens
from deploy.local.model_simulator.testing import SimulatorControl

HELLO = [{"role": "user", "content": "Hello there"}]
INPUT_TOKENS = 3 + 3 + 2  # the request, one message, two words
MODEL = "claude-sonnet-5-5"
WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def test_a_message_costs_exactly_what_is_served(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    raw = anthropic_client.messages.with_raw_response.create(
        model=MODEL, max_tokens=100, messages=HELLO, metadata={"user_id": "ada"}
    )
    message = raw.parse()
    counted = anthropic_client.messages.count_tokens(model=MODEL, messages=HELLO)

    [served] = simulator.served()
    [block] = message.content
    assert block.type == "text" and message.stop_reason == "end_turn"
    assert message.usage.input_tokens == counted.input_tokens == INPUT_TOKENS
    assert message.usage.output_tokens == tokens.count(block.text)
    assert served["usage"] == message.usage.model_dump(exclude_unset=True)
    assert served["request_id"] == raw.headers["request-id"] == message._request_id
    assert (served["response_id"], served["user"]) == (message.id, "ada")
    assert "anthropic-ratelimit-output-tokens-remaining" in raw.headers


def test_a_stream_has_named_events_in_order_and_the_same_bill(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    whole = anthropic_client.messages.create(model="sim-out-5", max_tokens=100, messages=HELLO)
    events = list(
        anthropic_client.messages.create(model="sim-out-5", max_tokens=100, messages=HELLO, stream=True)
    )

    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 5,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start, delta = events[0], events[-2]
    assert start.type == "message_start" and delta.type == "message_delta"
    assert (start.message.usage.input_tokens, start.message.usage.output_tokens) == (INPUT_TOKENS, 1)
    assert (delta.usage.input_tokens, delta.usage.output_tokens) == (INPUT_TOKENS, 5)
    billed = [entry["usage"] for entry in simulator.served()]
    assert billed[0] == billed[1] == whole.usage.model_dump(exclude_unset=True)


async def test_a_stream_of_the_asynchronous_client_adds_up_to_the_whole_message(
    async_anthropic_client: anthropic.AsyncAnthropic, simulator: SimulatorControl
) -> None:
    whole = await async_anthropic_client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    async with async_anthropic_client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()

    assert whole.content[0].type == "text" and text == whole.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert simulator.served()[1]["usage"]["output_tokens"] == final.usage.output_tokens


def test_a_ping_comes_within_the_stream(anthropic_client: anthropic.Anthropic) -> None:
    raw = anthropic_client.messages.with_raw_response.create(
        model=MODEL, max_tokens=9, messages=HELLO, stream=True
    )
    body = raw.http_response.read().decode()

    assert 'event: ping\ndata: {"type":"ping"}\n\n' in body
    assert "[DONE]" not in body


def test_a_tool_is_used_whole_and_in_fragments(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    whole = anthropic_client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, tools=[WEATHER])
    with anthropic_client.messages.stream(
        model=MODEL, max_tokens=100, messages=HELLO, tools=[WEATHER]
    ) as stream:
        fragments = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    answered = anthropic_client.messages.create(
        model=MODEL,
        max_tokens=100,
        tools=[WEATHER],
        messages=[
            *HELLO,
            {"role": "assistant", "content": whole.content},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": whole.content[0].id, "content": "rain"}],
            },
        ],
    )

    [used] = whole.content
    assert used.type == "tool_use" and used.name == "get_weather" and set(used.input) == {"city"}
    assert whole.stop_reason == final.stop_reason == "tool_use"
    assert json.loads("".join(fragments)) == used.input
    assert final.content[0].type == "tool_use" and final.content[0].input == used.input
    assert answered.content[0].type == "text"
    assert [entry["usage"]["output_tokens"] for entry in simulator.served()] == [
        tokens.count("get_weather") + tokens.count("".join(fragments)),
        final.usage.output_tokens,
        answered.usage.output_tokens,
    ]


def test_thinking_comes_first_when_asked_for_and_is_counted_as_output(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    with anthropic_client.messages.stream(
        model="claude+sim-reasoning-30+out-10", max_tokens=2000, messages=HELLO, thinking=thinking
    ) as stream:
        final = stream.get_final_message()

    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].type == "thinking"
    assert final.content[0].signature and tokens.count(final.content[0].thinking) == 30
    [served] = simulator.served()
    assert served["usage"]["output_tokens"] == final.usage.output_tokens == 40
    assert served["usage"]["output_tokens_details"] == {"thinking_tokens": 30}


def test_a_marked_prefix_is_written_to_the_cache_and_then_read(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    def ask(ttl: str) -> anthropic.types.Usage:
        control = {"type": "ephemeral", "ttl": ttl}
        return anthropic_client.messages.create(
            model=MODEL,
            max_tokens=10,
            system=[{"type": "text", "text": f"A long {ttl} rule.", "cache_control": control}],
            messages=HELLO,
        ).usage

    first, second, hour = ask("5m"), ask("5m"), ask("1h")

    prefix = 3 + 5 if tokens.count("A long 5m rule.") == 5 else 0
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (prefix, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, prefix)
    assert first.input_tokens == second.input_tokens == INPUT_TOKENS - 3
    assert hour.cache_creation is not None and hour.cache_creation.ephemeral_1h_input_tokens == prefix
    assert hour.cache_creation.ephemeral_5m_input_tokens == 0
    assert simulator.served()[0]["usage"]["cache_creation"] == {
        "ephemeral_5m_input_tokens": prefix,
        "ephemeral_1h_input_tokens": 0,
    }


def test_every_class_of_token_can_be_set_by_the_models_name(
    anthropic_client: anthropic.Anthropic, simulator: SimulatorControl
) -> None:
    name = "claude+sim-in-11+cached-1920+cachewrite5m-100+cachewrite1h-50+out-4+websearch-2"

    message = anthropic_client.messages.create(model=name, max_tokens=100, messages=HELLO)

    assert message.usage.model_dump(exclude_unset=True) == simulator.served()[0]["usage"]
    assert simulator.served()[0]["usage"] == {
        "input_tokens": 11,
        "cache_creation_input_tokens": 150,
        "cache_read_input_tokens": 1920,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 50},
        "output_tokens": 4,
        "service_tier": "standard",
        "inference_geo": "global",
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }


def test_limits_stop_sequences_and_schemas_are_kept(anthropic_client: anthropic.Anthropic) -> None:
    cut = anthropic_client.messages.create(model="sim-out-90", max_tokens=6, messages=HELLO)
    stopped = anthropic_client.messages.create(
        model="sim-out-90", max_tokens=100, messages=HELLO, stop_sequences=["."]
    )
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    form = anthropic_client.messages.create(
        model=MODEL,
        max_tokens=100,
        messages=HELLO,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )

    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 6)
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", ".")
    assert form.content[0].type == "text" and set(json.loads(form.content[0].text)) == {"ok"}


def test_models_are_listed_in_this_dialect(anthropic_client: anthropic.Anthropic) -> None:
    listed = [model.id for model in anthropic_client.models.list()]

    assert MODEL in listed
    assert anthropic_client.models.retrieve("claude-x").display_name == "Claude X"
    with pytest.raises(anthropic.NotFoundError):
        anthropic_client.models.retrieve("no-such-model")
