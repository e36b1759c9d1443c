"""Each SDK on a model of the other dialect: text, tools, streams, errors, and the same exact bill."""

from decimal import Decimal

import anthropic
import openai
import pytest

from apps.ai_usage.models import Provider, Route, RouteTarget
from tests.ai_usage.gateway.test_calls import priced
from tests.factories.catalogue import price
from tests.planes import control_plane

CLAUDE, GPT = "claude-sonnet-5-5", "gpt-4o-mini"
HELLO = [{"role": "user", "content": "Say hello across the border."}]
CHAT_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    },
}
MESSAGE_TOOL = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}},
}
CLAUDE_RATES = {"input_tokens": "3", "output_tokens": "15"}
GPT_RATES = {"prompt_tokens": "0.15", "completion_tokens": "0.60"}


def test_the_openai_sdk_talks_to_claude_and_pays_claudes_price(caller, simulator):
    since = simulator.last_seq()

    answer = caller.openai.chat.completions.with_raw_response.create(model=CLAUDE, messages=HELLO)

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    completion = answer.parse()
    assert served["endpoint"] == "messages"
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.prompt_tokens == served["usage"]["input_tokens"]
    assert completion.usage.completion_tokens == served["usage"]["output_tokens"]
    assert answer.headers["x-lockstep-translated-from"] == "anthropic"
    assert event.price == priced(served, CLAUDE_RATES)
    assert (event.provider, event.usage_source, event.anomaly) == ("anthropic", "provider", "")


def test_the_anthropic_sdk_talks_to_gpt_and_pays_gpts_price(caller, simulator):
    since = simulator.last_seq()

    message = caller.anthropic.messages.create(model=GPT, max_tokens=200, system="Be kind.", messages=HELLO)

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert served["endpoint"] == "chat.completions"
    assert message.content[0].text
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == served["usage"]["prompt_tokens"]
    assert message.usage.output_tokens == served["usage"]["completion_tokens"]
    assert event.price == priced(served, GPT_RATES)
    assert (event.provider, event.usage_source, event.anomaly) == ("openai", "provider", "")


@pytest.mark.parametrize("asks_for_usage", [True, False])
def test_claude_streams_to_the_openai_sdk(caller, simulator, asks_for_usage):
    since = simulator.last_seq()
    options = {"stream_options": {"include_usage": True}} if asks_for_usage else {}

    chunks = list(caller.openai.chat.completions.create(model=CLAUDE, messages=HELLO, stream=True, **options))

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == (
        [served["usage"]["output_tokens"]] if asks_for_usage else []
    )
    assert event.price == priced(served, CLAUDE_RATES)


def test_gpt_streams_to_the_anthropic_sdk(caller, simulator):
    since = simulator.last_seq()

    with caller.anthropic.messages.stream(model=GPT, max_tokens=200, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
        headers = stream.response.headers

    (served,) = simulator.settled(since=since)
    (event,) = caller.events()
    assert message.content[0].text == text
    assert message.usage.input_tokens == served["usage"]["prompt_tokens"]
    assert message.usage.output_tokens == served["usage"]["completion_tokens"]
    assert headers["x-lockstep-estimated"] == "message_start.message.usage.input_tokens"
    assert event.price == priced(served, GPT_RATES)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_tool_is_called_and_answered_through_the_openai_sdk_on_claude(caller, simulator, streamed):
    ask = {"model": CLAUDE, "tools": [CHAT_TOOL], "tool_choice": "required"}
    if streamed:
        with caller.openai.chat.completions.stream(messages=HELLO, **ask) as stream:
            stream.until_done()
            first = stream.get_final_completion()
    else:
        first = caller.openai.chat.completions.create(messages=HELLO, **ask)
    (call,) = first.choices[0].message.tool_calls

    conversation = [
        *HELLO,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call.model_dump(include={"id", "type", "function"})],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "Rain"},
    ]
    for said in conversation[1]["tool_calls"]:
        said["function"] = {"name": call.function.name, "arguments": call.function.arguments}
    second = caller.openai.chat.completions.create(model=CLAUDE, messages=conversation, tools=[CHAT_TOOL])

    assert first.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"
    assert second.choices[0].message.content
    assert len(caller.events()) == 2


@pytest.mark.parametrize("streamed", [True, False])
def test_a_tool_is_called_and_answered_through_the_anthropic_sdk_on_gpt(caller, streamed):
    ask = {"model": GPT, "max_tokens": 300, "tools": [MESSAGE_TOOL], "tool_choice": {"type": "any"}}
    if streamed:
        with caller.anthropic.messages.stream(messages=HELLO, **ask) as stream:
            first = stream.get_final_message()
    else:
        first = caller.anthropic.messages.create(messages=HELLO, **ask)
    used = first.content[-1]

    result = {"type": "tool_result", "tool_use_id": used.id, "content": "Rain"}
    use = {"type": "tool_use", "id": used.id, "name": used.name, "input": used.input}
    second = caller.anthropic.messages.create(
        model=GPT,
        max_tokens=300,
        tools=[MESSAGE_TOOL],
        messages=[*HELLO, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}],
    )

    assert first.stop_reason == "tool_use"
    assert (used.type, used.name) == ("tool_use", "weather")
    assert second.content[0].text
    assert len(caller.events()) == 2


def test_what_cannot_be_said_is_refused_by_name_and_no_provider_is_asked(caller, simulator):
    since = simulator.last_seq()

    with pytest.raises(openai.BadRequestError) as chat:
        caller.openai.chat.completions.create(model=CLAUDE, messages=HELLO, logprobs=True)
    with pytest.raises(anthropic.BadRequestError) as message:
        caller.anthropic.messages.create(model=GPT, max_tokens=50, messages=HELLO, extra_body={"top_k": 3})
    with pytest.raises(anthropic.BadRequestError) as beta:
        caller.anthropic.messages.create(
            model=GPT, max_tokens=50, messages=HELLO, extra_headers={"anthropic-beta": "x-2026"}
        )

    assert (chat.value.code, chat.value.param) == ("not_expressible", "logprobs")
    assert message.value.body["error"]["code"] == "not_expressible"
    assert "`top_k`" in message.value.body["error"]["message"]
    assert "`anthropic-beta`" in beta.value.body["error"]["message"]
    assert simulator.settled(since=since) == []
    assert caller.events() == []


def test_unknown_members_still_pass_through_to_a_provider_of_the_clients_dialect(caller):
    answer = caller.chat(something_new={"a": 1})

    assert answer.status_code == 200
    assert "x-lockstep-translated-from" not in answer.headers


def test_embeddings_cannot_be_translated(caller):
    answer = caller.post("/v1/embeddings", {"model": CLAUDE, "input": "x"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "other_dialect")


def test_a_providers_refusal_is_told_in_the_clients_dialect(caller, simulator):
    simulator.add_fault({"status": 400, "error_message": "No such thing."}, match={"model": CLAUDE}, times=1)
    simulator.add_fault({"status": 400, "error_message": "No such thing."}, match={"model": GPT}, times=1)

    with pytest.raises(openai.BadRequestError) as chat:
        caller.openai.chat.completions.create(model=CLAUDE, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError) as message:
        caller.anthropic.messages.create(model=GPT, max_tokens=50, messages=HELLO)

    assert chat.value.body["message"] == "No such thing."
    assert message.value.body["error"]["message"] == "No such thing."
    assert message.value.body["type"] == "error"
    assert caller.events() == []


@pytest.mark.parametrize("effect", [{"mid_stream_error": 3}, {"cut_after_chunks": 4}])
def test_a_stream_that_breaks_raises_in_each_sdk_and_is_charged(caller, simulator, effect):
    simulator.add_fault(effect, match={"model": CLAUDE}, times=1)
    simulator.add_fault(effect, match={"model": GPT}, times=1)

    with pytest.raises(openai.APIError):
        list(caller.openai.chat.completions.create(model=CLAUDE, messages=HELLO, stream=True))
    with pytest.raises(anthropic.APIStatusError):
        list(caller.anthropic.messages.create(model=GPT, max_tokens=90, messages=HELLO, stream=True))

    assert [event.provider for event in caller.events()] == ["anthropic", "openai"]


def test_the_output_is_clamped_in_the_providers_own_words(new_caller, simulator):
    caller = new_caller(spend_per_month="0.01")
    since = simulator.last_seq()

    answer = caller.chat("Be long.", model=CLAUDE)

    (served,) = simulator.settled(since=since)
    assert answer.status_code == 200
    assert Decimal(answer.headers["x-lockstep-output-clamped-to"]) < 16384
    assert served["usage"]["output_tokens"] == answer.json()["usage"]["completion_tokens"]


@pytest.fixture
def mixed(simulator, django_db_blocker):
    """A route to a target of each dialect, of which Anthropic's has the better priority."""
    with django_db_blocker.unblock(), control_plane():
        openai_provider = Provider.objects.get(name="openai")
        anthropic_provider = Provider.objects.get(name="anthropic")
        route = Route.objects.create(model="mixed", first_byte_timeout=5, retry_seconds=1)
        RouteTarget.objects.create(route=route, provider=anthropic_provider, model="mixed-claude", priority=1)
        RouteTarget.objects.create(route=route, provider=openai_provider, model="mixed-gpt", priority=2)
        price(anthropic_provider, "mixed-claude", {"input": "3", "output": "15"})
        price(openai_provider, "mixed-gpt", {"input": "1", "output": "2"})
    yield "mixed"
    with django_db_blocker.unblock(), control_plane():
        route.delete()


def test_a_target_of_the_clients_dialect_comes_first_and_the_other_is_the_way_out(caller, simulator, mixed):
    first = caller.chat(model=mixed)
    simulator.add_fault(
        {"status": 400, "error_code": "context_length_exceeded"}, match={"model": "mixed-gpt"}, times=2
    )
    second = caller.chat(model=mixed)
    third = caller.chat(model=mixed, logprobs=True)

    assert first.headers["x-lockstep-provider"] == "openai"
    assert second.headers["x-lockstep-provider"] == "anthropic"
    assert second.json()["object"] == "chat.completion"
    # What cannot be said elsewhere ends with what the one target said that it could be said to.
    assert (third.status_code, third.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert [event.provider for event in caller.events()] == ["openai", "anthropic"]
