"""How often a request lets the provider's own tools run, which providers charge for by the call."""

from collections.abc import Mapping
from typing import Any, Final

from apps.ai_usage.normalise import Endpoint

# Those whose calls are metered as `requests` (normalise.py): web searches, under all their dated names.
_METERED: Final = "web_search"
# What a caller asks for beyond this is held as this much: nobody's call searches ten thousand times.
_MOST: Final = 10_000


def most_calls(endpoint: str, parsed: Mapping[str, Any], unbounded: int) -> int:
    """The most metered tool calls that a request asks for; `unbounded` for a tool that it sets no limit.

    `max_tool_calls` (OpenAI) is for all tools together, `max_uses` (Anthropic) for each.
    """
    if endpoint == Endpoint.CHAT_COMPLETIONS:
        return unbounded if isinstance(parsed.get("web_search_options"), dict) else 0
    tools = parsed.get("tools")
    if type(tools) is not list:
        return 0
    metered = [tool for tool in tools if _is_metered(tool)]
    if not metered:
        return 0
    if endpoint == Endpoint.MESSAGES:
        return sum(_limit(tool.get("max_uses"), unbounded) for tool in metered)
    return _limit(parsed.get("max_tool_calls"), unbounded)


def _is_metered(tool: object) -> bool:
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    return isinstance(kind, str) and kind.startswith(_METERED)


def _limit(given: object, unbounded: int) -> int:
    # What is no limit is for the provider to refuse; until it does, the call is held as one without.
    return min(given, _MOST) if type(given) is int and given >= 0 else unbounded


# Tools that run at the provider: they look at the world or change it, so the same request has another answer later.
_HOSTED: Final = (
    "web_search", "web_fetch", "file_search", "code_interpreter", "code_execution", "mcp", "image_generation",
    "computer", "tool_search", "shell", "local_shell",
)  # fmt: skip
_STATEFUL: Final = (
    "web_search_options",
    "mcp_servers",
    "container",
    "conversation",
    "background",
    "previous_response_id",
)


def acts(parsed: Mapping[str, Any]) -> bool:
    """Whether the answer depends on more than the request: hosted tools, or state that the provider keeps."""
    if any(parsed.get(name) for name in _STATEFUL) or isinstance(parsed.get("web_search_options"), dict):
        return True
    tools = parsed.get("tools")
    if not isinstance(tools, list):
        return False
    kinds = (tool.get("type") for tool in tools if isinstance(tool, dict))
    return any(isinstance(kind, str) and kind.startswith(_HOSTED) for kind in kinds)
