"""The Responses endpoint, driven by the official OpenAI client."""

import json

import openai

from deploy.local.model_simulator import tokens
from deploy.local.model_simulator.testing import SimulatorControl

LOOK_UP = {
    "type": "function",
    "name": "look_up",
    "strict": False,
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
}


def test_a_response_costs_exactly_what_is_served(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    response = openai_client.responses.create(model="gpt-5", input="Hello there", instructions="Be brief.")

    [served] = simulator.served()
    assert response.status == "completed" and response.usage is not None
    assert response.usage.input_tokens == 3 + (3 + 3) + (3 + 2)
    assert response.usage.output_tokens == tokens.count(response.output_text)
    assert served["usage"] == response.usage.model_dump(exclude_unset=True)
    assert (served["response_id"], served["request_id"]) == (response.id, response._request_id)
    assert response.instructions == "Be brief."


def test_the_events_of_a_stream_are_typed_numbered_and_end_with_the_usage(
    openai_client: openai.OpenAI, simulator: SimulatorControl
) -> None:
    whole = openai_client.responses.create(model="sim-out-6+reasoning-20", input="Hello there")
    events = list(
        openai_client.responses.create(model="sim-out-6+reasoning-20", input="Hello there", stream=True)
    )

    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 6,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed" and last.response.usage == whole.usage
    assert last.response.output_text == whole.output_text
    assert whole.usage is not None
    assert (whole.usage.output_tokens, whole.usage.output_tokens_details.reasoning_tokens) == (26, 20)
    billed = [entry["usage"] for entry in simulator.served()]
    assert billed[0] == billed[1] == whole.usage.model_dump(exclude_unset=True)


async def test_functions_are_called_in_fragments(
    async_openai_client: openai.AsyncOpenAI, simulator: SimulatorControl
) -> None:
    async with async_openai_client.responses.stream(model="gpt-5", input="Hello", tools=[LOOK_UP]) as stream:
        fragments = [e.delta async for e in stream if e.type == "response.function_call_arguments.delta"]
        response = await stream.get_final_response()

    [call] = response.output
    assert call.type == "function_call" and call.name == "look_up"
    assert call.arguments == "".join(fragments) and set(json.loads(call.arguments)) == {"word"}
    [served] = simulator.served()
    assert served["usage"]["output_tokens"] == tokens.count("look_up") + tokens.count(call.arguments)
    assert served["output_tokens_produced"] == served["usage"]["output_tokens"]


def test_after_a_functions_result_the_model_answers_in_words(openai_client: openai.OpenAI) -> None:
    response = openai_client.responses.create(
        model="gpt-5",
        tools=[LOOK_UP],
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        ],
    )

    assert response.output_text


def test_a_response_cut_by_its_limit_is_incomplete(openai_client: openai.OpenAI) -> None:
    events = list(
        openai_client.responses.create(model="sim-out-90", input="Hi", max_output_tokens=16, stream=True)
    )

    last = events[-1]
    assert last.type == "response.incomplete" and last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage is not None and last.response.usage.output_tokens == 16
