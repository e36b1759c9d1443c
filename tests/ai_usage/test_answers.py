"""Answers that were not streamed are read for their usage, whatever they turn out to be."""

from dataclasses import replace

import orjson
import pytest

from apps.ai_usage.answers import ResponseUsage, response_usage
from apps.ai_usage.normalise import Endpoint


def test_a_chat_completion_says_who_answered_and_what_it_used():
    body = orjson.dumps(
        {
            "id": "chatcmpl-1",
            "model": "gpt-4o-2024-08-06",
            "service_tier": "priority",
            "choices": [{"finish_reason": "stop", "message": {"content": "Hello"}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2},
        }
    )

    answer = response_usage("openai", Endpoint.CHAT_COMPLETIONS, body)

    assert answer == ResponseUsage(
        usage={"prompt_tokens": 9, "completion_tokens": 2},
        model="gpt-4o-2024-08-06",
        service_tier="priority",
        response_id="chatcmpl-1",
        finish_reason="stop",
    )


def test_a_response_brings_its_hosted_tools_along():
    body = orjson.dumps(
        {
            "id": "resp_1",
            "status": "incomplete",
            "usage": {"input_tokens": 9, "output_tokens": 2},
            "tool_usage": {"web_search": {"num_requests": 1}},
        }
    )

    answer = response_usage("openai", Endpoint.RESPONSES, body)

    assert answer.usage == {
        "input_tokens": 9,
        "output_tokens": 2,
        "tool_usage": {"web_search": {"num_requests": 1}},
    }
    assert answer.finish_reason == "incomplete"


def test_text_is_measured_where_the_usage_does_not_count_it():
    chat = orjson.dumps({"choices": [{"message": {"content": "Hello", "refusal": None}}]})
    message = orjson.dumps(
        {
            "stop_reason": "tool_use",
            "content": [{"type": "text", "text": "abc"}, {"type": "tool_use", "input": {"a": 1}}],
            "usage": {"input_tokens": 3, "output_tokens": 0},
        }
    )

    assert response_usage("openai", Endpoint.CHAT_COMPLETIONS, chat).output_characters == 5
    answer = response_usage("anthropic", Endpoint.MESSAGES, message)
    assert (answer.output_characters, answer.finish_reason) == (3 + len('{"a":1}'), "tool_use")


def test_embeddings_are_not_measured_as_text():
    body = orjson.dumps({"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}})

    answer = response_usage("openai", Endpoint.EMBEDDINGS, body)

    assert answer.usage == {"prompt_tokens": 8, "total_tokens": 8}
    assert answer.output_characters == 0


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1]", b"null", b'"x"', b"\xff", b'{"usage":', b"[" * 5000]
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_what_is_not_an_answer_says_nothing(dialect, body):
    said = response_usage(dialect, Endpoint.CHAT_COMPLETIONS, body)

    assert said.problem.startswith("a body that is not ")
    assert replace(said, problem="") == ResponseUsage()


@pytest.mark.parametrize(
    "strange",
    [
        {"usage": [], "model": 7, "id": None, "choices": {}},
        {"usage": "x", "choices": [None]},
        {"choices": ["x"], "content": [1]},
    ],
)
def test_strange_fields_are_ignored(strange):
    answer = response_usage("openai", Endpoint.CHAT_COMPLETIONS, orjson.dumps(strange))

    assert (answer.usage, answer.model, answer.response_id, answer.finish_reason) == (None, None, None, None)
