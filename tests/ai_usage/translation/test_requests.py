"""Requests said in the other dialect: whole, or refused by the member that cannot be."""

import pytest

from apps.ai_usage.translation import NotExpressible, chat_to_messages, messages_to_chat

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Says it.", "parameters": {"type": "object"}},
}


def to_messages(**members):
    return chat_to_messages.translate({"model": "m", "messages": HELLO} | members, max_output=1000)


def to_chat(**members):
    return messages_to_chat.translate({"model": "m", "max_tokens": 50, "messages": HELLO} | members)


def test_a_whole_conversation_with_tools_becomes_a_message_request():
    said = to_messages(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Use tools."}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "auto"}},
                ],
            },
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"at":"Ulm"}'},
                    },
                    {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
            {"role": "tool", "tool_call_id": "c2", "content": "Sun"},
            {"role": "user", "content": "And now?"},
        ],
        max_completion_tokens=77,
        temperature=0.2,
        top_p=0.9,
        stop="END",
        tools=[TOOL],
        tool_choice="required",
        parallel_tool_calls=False,
        user="u-1",
        stream=True,
        stream_options={"include_usage": True},
        n=1,
        logprobs=False,
    )

    assert said == {
        "model": "m",
        "max_tokens": 77,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Use tools."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "c1", "name": "weather", "input": {"at": "Ulm"}},
                    {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [{"type": "text", "text": "Rain"}],
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "c2",
                        "content": [{"type": "text", "text": "Sun"}],
                    },
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "temperature": 0.2,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "tools": [{"name": "weather", "description": "Says it.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "metadata": {"user_id": "u-1"},
        "stream": True,
    }


def test_a_whole_conversation_with_tools_becomes_a_chat_request():
    said = to_chat(
        system=[{"type": "text", "text": "Be brief."}],
        messages=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {"type": "text", "text": "What is this?"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"at": "Ulm"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "Rain"},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        temperature=0.2,
        stop_sequences=["END"],
        tools=[{"name": "weather", "input_schema": {"type": "object"}}],
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        metadata={"user_id": "u-1"},
        stream=True,
    )

    assert said == {
        "model": "m",
        "max_completion_tokens": 50,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "text", "text": "What is this?"},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "Let me see."}],
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"at":"Ulm"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "Rain"}]},
            {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
        ],
        "temperature": 0.2,
        "stop": ["END"],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "user": "u-1",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_an_output_limit_that_the_client_did_not_name_is_the_routes():
    assert to_messages()["max_tokens"] == 1000


def test_a_strict_schema_is_said_in_both_dialects():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}

    there = to_messages(response_format=wanted)
    back = to_chat(output_config={"format": {"type": "json_schema", "schema": schema}})

    assert there["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert back["response_format"] == {
        "type": "json_schema",
        "json_schema": wanted["json_schema"] | {"name": "answer"},
    }


@pytest.mark.parametrize(
    "members, named",
    [
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"n": 2}, "n"),
        ({"seed": 1}, "seed"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "a"}}, "audio"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"functions": []}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
            "response_format.json_schema.strict",
        ),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.type"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"something_new": 1}, "something_new"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://x.test/a", "detail": "low"}}]}]},
         "messages[0].content[0].image_url.detail"),
        ({"messages": [*HELLO, {"role": "system", "content": "Now this."}]}, "messages[1].role"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "I"}]}, "messages[1].role"),
        ({"messages": [*HELLO, {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "w", "arguments": "[1"}}]}, *HELLO]},
         "messages[1].tool_calls[0].function.arguments"),
    ],
)  # fmt: skip
def test_what_a_message_cannot_say_is_named(members, named):
    with pytest.raises(NotExpressible) as refused:
        to_messages(**members)

    assert refused.value.member == named


@pytest.mark.parametrize(
    "members, named",
    [
        ({"top_k": 5}, "top_k"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"output_config": {"effort": "high"}}, "output_config.effort"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"metadata": {"user_id": "u", "more": 1}}, "metadata.more"),
        ({"stop_sequences": list("abcde")}, "stop_sequences"),
        ({"cache_control": {"type": "ephemeral"}}, "cache_control"),
        ({"something_new": 1}, "something_new"),
        (
            {"system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            "system[0].cache_control",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"name": "w", "input_schema": {}, "cache_control": {"type": "ephemeral"}}]},
         "tools[0].cache_control"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True}]}]},
         "messages[0].content[0].is_error"),
        ({"messages": [*HELLO, {"role": "assistant", "content": [{"type": "thinking", "thinking": "…"}]}, *HELLO]},
         "messages[1].content[0].type"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "I"}]}, "messages[1].role"),
    ],
)  # fmt: skip
def test_what_a_chat_completion_cannot_say_is_named(members, named):
    with pytest.raises(NotExpressible) as refused:
        to_chat(**members)

    assert refused.value.member == named


@pytest.mark.parametrize("name", ["seed", "logprobs", "tools", "response_format", "anything"])
def test_null_is_as_good_as_absent(name):
    assert to_messages(**{name: None}) == to_messages()
