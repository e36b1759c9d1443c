"""Whole answers said in the other dialect, and the words that both kinds of answers share."""

from typing import Any

import orjson

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_TIERS_OF_OPENAI = {"standard": "default", "priority": "priority", "batch": "default"}
_TIERS_OF_ANTHROPIC = {"default": "standard", "priority": "priority"}


class UnreadableAnswer(Exception):
    """The provider's answer is not what its dialect says, so it cannot be said in another."""


def finish_of(stop_reason: object) -> str:
    """OpenAI's finish reason for Anthropic's stop reason."""
    return _FINISHES.get(str(stop_reason), "stop")


def stop_of(finish_reason: object) -> str:
    """Anthropic's stop reason for OpenAI's finish reason."""
    return _STOPS.get(str(finish_reason), "end_turn")


def tier_of_openai(tier: object) -> str | None:
    """Anthropic's name of a served tier as OpenAI calls it."""
    return _TIERS_OF_OPENAI.get(str(tier))


def usage_of_chat(usage: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's disjoint counts as OpenAI's totals with details."""
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    prompt = _count(usage, "input_tokens") + read + written
    completion = _count(usage, "output_tokens")
    details = usage.get("output_tokens_details")
    thinking = _count(details, "thinking_tokens") if isinstance(details, dict) else 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thinking, "audio_tokens": 0},
    }


def usage_of_message(usage: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's totals as Anthropic's disjoint counts."""
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    read, written = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    return {
        "input_tokens": max(0, _count(usage, "prompt_tokens") - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _count(usage, "completion_tokens"),
    }


def chat_of_message(body: bytes, *, created: int) -> bytes:
    """A message as a chat completion. Thinking has no place there; its tokens are in the usage."""
    answer = _object(body)
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in _listed(answer.get("content")):
        if block.get("type") == "text":
            texts.append(str(block.get("text") or ""))
        elif block.get("type") == "tool_use":
            arguments = orjson.dumps(block.get("input") or {}).decode()
            function = {"name": block.get("name"), "arguments": arguments}
            calls.append({"id": block.get("id"), "type": "function", "function": function})
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not calls else None,
        "refusal": None,
    }
    if calls:
        message["tool_calls"] = calls
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": finish_of(answer.get("stop_reason")),
    }
    said = {
        "id": f"chatcmpl-{answer.get('id')}",
        "object": "chat.completion",
        "created": created,
        "model": answer.get("model"),
        "choices": [choice],
        "usage": usage_of_chat(usage),
    }
    if (tier := tier_of_openai(usage.get("service_tier"))) is not None:
        said["service_tier"] = tier
    return orjson.dumps(said)


def message_of_chat(body: bytes) -> bytes:
    """A chat completion as a message."""
    answer = _object(body)
    choices = _listed(answer.get("choices"))
    if not choices or not isinstance(message := choices[0].get("message"), dict):
        raise UnreadableAnswer("a chat completion without a message")
    content: list[dict[str, Any]] = [
        {"type": "text", "text": text, "citations": None}
        for text in (message.get("content"), message.get("refusal"))
        if isinstance(text, str) and text
    ]
    for call in _listed(message.get("tool_calls")):
        function = call.get("function")
        if not isinstance(function, dict):
            raise UnreadableAnswer("a tool call without a function")
        arguments = _object(str(function.get("arguments") or "{}").encode())
        content.append(
            {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments}
        )
    usage = answer.get("usage")
    said_usage = usage_of_message(usage if isinstance(usage, dict) else {})
    if (tier := _TIERS_OF_ANTHROPIC.get(str(answer.get("service_tier")))) is not None:
        said_usage["service_tier"] = tier
    stop = "refusal" if message.get("refusal") else stop_of(choices[0].get("finish_reason"))
    return orjson.dumps(
        {
            "id": f"msg_{answer.get('id')}",
            "type": "message",
            "role": "assistant",
            "model": answer.get("model"),
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": said_usage,
        }
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise UnreadableAnswer("something that is not a JSON object")
    return parsed


def _listed(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _count(holder: dict[str, Any], name: str) -> int:
    value = holder.get(name)
    return value if type(value) is int and value > 0 else 0
