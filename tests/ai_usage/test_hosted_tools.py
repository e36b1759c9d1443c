"""How many billed tool calls a request asks for: what it says, the operator's bound where it says nothing."""

import pytest

from apps.ai_usage.hosted_tools import most_calls
from apps.ai_usage.normalise import Endpoint

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FUNCTION = {"type": "function", "function": {"name": "web_search"}}


@pytest.mark.parametrize(
    "endpoint, body, most",
    [
        (Endpoint.MESSAGES, {}, 0),
        (Endpoint.MESSAGES, {"tools": None}, 0),
        (Endpoint.MESSAGES, {"tools": "web_search"}, 0),
        (Endpoint.MESSAGES, {"tools": [{"name": "web_search", "input_schema": {}}, "x", None]}, 0),
        (Endpoint.MESSAGES, {"tools": [SEARCH]}, 7),
        (Endpoint.MESSAGES, {"tools": [SEARCH | {"max_uses": 2}]}, 2),
        (Endpoint.MESSAGES, {"tools": [SEARCH | {"max_uses": 2}, SEARCH]}, 9),
        (Endpoint.MESSAGES, {"tools": [SEARCH | {"max_uses": True}]}, 7),
        (Endpoint.MESSAGES, {"tools": [SEARCH | {"max_uses": -1}]}, 7),
        (Endpoint.MESSAGES, {"tools": [SEARCH | {"max_uses": 10**15}]}, 10_000),
        (Endpoint.MESSAGES, {"tools": [{"type": "web_fetch_20250910"}]}, 0),
        (Endpoint.RESPONSES, {"tools": [FUNCTION]}, 0),
        (Endpoint.RESPONSES, {"tools": [{"type": "web_search"}]}, 7),
        (Endpoint.RESPONSES, {"tools": [{"type": "web_search_preview_2025_03_11"}, FUNCTION]}, 7),
        (Endpoint.RESPONSES, {"tools": [{"type": "web_search"}], "max_tool_calls": 3}, 3),
        (Endpoint.RESPONSES, {"tools": [{"type": "web_search"}], "max_tool_calls": 0}, 0),
        (Endpoint.RESPONSES, {"tools": [{"type": "web_search"}], "max_tool_calls": "3"}, 7),
        (Endpoint.RESPONSES, {"tools": [{"type": "code_interpreter"}], "max_tool_calls": 3}, 0),
        (Endpoint.CHAT_COMPLETIONS, {"tools": [FUNCTION]}, 0),
        (Endpoint.CHAT_COMPLETIONS, {"web_search_options": {}}, 7),
        (Endpoint.CHAT_COMPLETIONS, {"web_search_options": None}, 0),
        (Endpoint.EMBEDDINGS, {"input": "x"}, 0),
    ],
)
def test_a_request_lets_as_many_billed_tool_calls_run_as_it_says(endpoint, body, most):
    assert most_calls(endpoint, body, 7) == most
