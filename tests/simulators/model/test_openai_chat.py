"""Chat completions, driven by the official OpenAI client."""

import json

import openai
import pytest

from deploy.local.model_simulator import tokens
from deploy.local.model_simulator.testing import SimulatorControl

HELLO = [{"role": "user", "content": "Hello there"}]
PROMPT_TOKENS = 3 + 3 + 2  # the request, one message, two words
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 1},
            },
            "required": ["city", "days"],
        },
    },
}


def test_an_answer_costs_exactly_what_is_served(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=HELLO, user="ada", extra_headers={"x-client-request-id": "attempt-1"}
    )
    answer = raw.parse()

    [served] = simulator.served()
    text = answer.choices[0].message.content
    assert text is not None and answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == PROMPT_TOKENS
    assert answer.usage.completion_tokens == tokens.count(text)
    assert answer.usage.total_tokens == PROMPT_TOKENS + tokens.count(text)
    assert served["usage"] == answer.usage.model_dump(exclude_unset=True)
    assert served["request_id"] == raw.headers["x-request-id"] == answer._request_id
    assert served["response_id"] == answer.id
    assert (served["user"], served["client_request_id"], served["api_key_last4"]) == (
        "ada",
        "attempt-1",
        "1234",
    )
    assert (served["dialect"], served["endpoint"], served["model"]) == (
        "openai",
        "chat.completions",
        "gpt-4o-mini",
    )
    assert (served["status"], served["ended"], served["stream"]) == (200, "completed", False)
    assert {"openai-processing-ms", "x-ratelimit-remaining-tokens", "openai-version"} <= set(raw.headers)


def test_the_same_request_is_always_answered_the_same_streaming_or_not(openai_client: openai.OpenAI) -> None:
    first = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    second = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO)
    stream = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    other_seed = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, seed=2)

    assert first.id != second.id
    assert first.choices[0].message.content == second.choices[0].message.content == streamed
    assert other_seed.choices[0].message.content != streamed


def test_a_stream_tells_its_usage_only_when_asked_and_is_billed_either_way(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    untold = list(openai_client.chat.completions.create(model="sim-out-9", messages=HELLO, stream=True))
    told = list(
        openai_client.chat.completions.create(
            model="sim-out-9",
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True, "include_obfuscation": False},
        )
    )

    assert all("usage" not in chunk.model_fields_set for chunk in untold)
    assert all(chunk.obfuscation for chunk in untold)
    assert all(chunk.usage is None for chunk in told[:-1])
    assert all(chunk.obfuscation is None for chunk in told)
    assert told[-1].choices == []
    assert told[-1].usage is not None and told[-1].usage.completion_tokens == 9
    assert [entry["usage"]["completion_tokens"] for entry in simulator.served()] == [9, 9]
    assert [entry["chunks"] for entry in simulator.served()] == [9, 9]
    assert len({chunk.id for chunk in told}) == 1


async def test_the_asynchronous_client_streams_too(
    async_openai_client: openai.AsyncOpenAI, simulator: SimulatorControl
) -> None:
    stream = await async_openai_client.chat.completions.create(
        model="sim-out-40+per-8", messages=HELLO, stream=True
    )
    pieces = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices[0].delta.content]

    assert len(pieces) == 5
    assert tokens.count("".join(pieces)) == 40
    assert simulator.served()[0]["usage"]["completion_tokens"] == 40


@pytest.mark.parametrize("limit", [{"max_tokens": 5}, {"max_completion_tokens": 5}])
def test_a_limit_on_tokens_is_kept(
    openai_client: openai.OpenAI, simulator: SimulatorControl, limit: dict[str, int]
) -> None:
    answer = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, **limit)

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None and answer.usage.completion_tokens == 5
    assert simulator.served()[0]["usage"]["completion_tokens"] == 5


def test_the_answer_stops_before_a_stop_sequence(openai_client: openai.OpenAI) -> None:
    whole = openai_client.chat.completions.create(model="gpt-4o+sim-out-60", messages=HELLO)
    stopped = openai_client.chat.completions.create(model="gpt-4o+sim-out-60", messages=HELLO, stop=["."])

    text = whole.choices[0].message.content or ""
    assert stopped.choices[0].message.content == text[: text.index(".")]
    assert stopped.choices[0].finish_reason == "stop"
    assert stopped.usage is not None and stopped.usage.completion_tokens == tokens.count(
        text[: text.index(".")]
    )


def test_several_choices_are_all_counted(openai_client: openai.OpenAI, simulator: SimulatorControl) -> None:
    whole = openai_client.chat.completions.create(model="sim-out-7", messages=HELLO, n=3)
    texts = ["", "", ""]
    for chunk in openai_client.chat.completions.create(model="sim-out-7", messages=HELLO, n=3, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""

    assert texts == [choice.message.content for choice in whole.choices]
    assert len(set(texts)) == 3
    assert [entry["usage"]["completion_tokens"] for entry in simulator.served()] == [21, 21]


def test_a_tool_is_called_with_arguments_that_fit_its_schema(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    answer = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, tools=[WEATHER])
    [call] = answer.choices[0].message.tool_calls or []
    reply = openai_client.chat.completions.create(
        model="gpt-4o",
        tools=[WEATHER],
        messages=[
            *HELLO,
            answer.choices[0].message,
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ],
    )

    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    assert call.type == "function" and call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert (set(arguments), arguments["days"]) == ({"city", "days"}, 1)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == tokens.count("get_weather") + tokens.count(
        call.function.arguments
    )
    assert reply.choices[0].finish_reason == "stop" and reply.choices[0].message.content
    assert reply.usage is not None and reply.usage.prompt_tokens > answer.usage.prompt_tokens


def test_streamed_tool_calls_come_in_fragments(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    whole = openai_client.chat.completions.create(model="sim-tools-2", messages=HELLO, tools=[WEATHER])
    with openai_client.chat.completions.stream(
        model="sim-tools-2", messages=HELLO, tools=[WEATHER]
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()

    fragments = [event for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert len(fragments) > 4
    assert [call.function.arguments for call in final.choices[0].message.tool_calls or []] == [
        call.function.arguments
        for call in whole.choices[0].message.tool_calls or []
        if call.type == "function"
    ]
    billed = [entry["usage"] for entry in simulator.served()]
    assert billed[0] == billed[1]


def test_an_answer_in_json_follows_the_schema(openai_client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer"}}}

    answer = openai_client.chat.completions.create(
        model="gpt-4o",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "it", "schema": schema}},
    )

    made = json.loads(answer.choices[0].message.content or "")
    assert (type(made["ok"]), type(made["n"])) == (bool, int)


def test_images_count_as_prompt_tokens(openai_client: openai.OpenAI) -> None:
    def image(detail: str) -> dict[str, object]:
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": detail}}

    content = [{"type": "text", "text": "Hello there"}, image("low"), image("high")]
    answer = openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": content}]
    )

    assert answer.usage is not None and answer.usage.prompt_tokens == PROMPT_TOKENS + 85 + 765


def test_every_class_of_token_can_be_set_by_the_models_name(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    answer = openai_client.chat.completions.create(
        model="gpt-4o+sim-in-2006+cached-1920+cachewrite-10+out-300+reasoning-30+audioin-6+audioout-4+rejected-2",
        messages=HELLO,
    )

    assert simulator.served()[0]["usage"] == {
        "prompt_tokens": 2006,
        "completion_tokens": 336,
        "total_tokens": 2342,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 6, "cache_write_tokens": 10},
        "completion_tokens_details": {
            "reasoning_tokens": 30,
            "audio_tokens": 4,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 2,
        },
    }
    assert answer.usage is not None
    assert answer.usage.model_dump(exclude_unset=True) == simulator.served()[0]["usage"]


def test_the_tier_and_the_model_served_may_differ_from_those_asked_for(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    asked = openai_client.chat.completions.create(model="gpt-4o", messages=HELLO, service_tier="flex")
    other = openai_client.chat.completions.create(
        model="gpt-4o+sim-tier-priority+served-gpt-4o-2026-01-01", messages=HELLO, service_tier="flex"
    )

    assert (asked.service_tier, other.service_tier) == ("flex", "priority")
    assert other.model == "gpt-4o-2026-01-01"
    assert [entry["service_tier"] for entry in simulator.served()] == ["flex", "priority"]
    assert simulator.served()[1]["served_model"] == "gpt-4o-2026-01-01"
