"""Anthropic's `POST /v1/messages` and `/v1/messages/count_tokens`: reading requests."""

from typing import Any, Final

from deploy.local.model_simulator.ask import Ask, Prompt, Tool, strings
from deploy.local.model_simulator.dialects import ANTHROPIC, Refusal
from deploy.local.model_simulator.endpoints.fields import UNKNOWN_MODEL, reasoning_for

ID_PREFIX: Final = "msg_"
_ROLES: Final = ("user", "assistant", "system")
_LEAST_BUDGET: Final = 1024
_THINKING: Final = 32


def read(body: dict[str, Any]) -> Ask:
    """Understand a request to answer, or refuse it as Anthropic does."""
    ask = read_prompt(body)
    ask.endpoint = "messages"
    limit = body.get("max_tokens")
    if limit is None:
        raise Refusal(400, "max_tokens: Field required")
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise Refusal(400, "max_tokens: Input should be a valid integer")
    if limit < 1:
        raise Refusal(400, "max_tokens: Input should be greater than or equal to 1")
    ask.output_limit = limit
    ask.stream = body.get("stream") is True
    ask.stop = strings(body.get("stop_sequences") or ())
    _read_thinking(ask, body.get("thinking"), limit)
    _read_tool_choice(ask, body)

    output = body.get("output_config") or {}
    form = output.get("format") if isinstance(output, dict) else None
    if isinstance(form, dict):
        if not isinstance(form.get("schema"), dict):
            raise Refusal(400, "output_config.format.schema: Field required")
        ask.json_schema = form["schema"]
    if ask.show_thinking and output.get("effort"):
        ask.reasoning = reasoning_for(output["effort"]) or ask.reasoning
    return ask


def read_prompt(body: dict[str, Any]) -> Ask:
    """Understand what `count_tokens` counts; the same prompt costs the same when it is answered."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "model: Field required")
    if model.startswith(UNKNOWN_MODEL):
        raise Refusal(404, f"model: {model}")
    messages = body.get("messages")
    if messages is None:
        raise Refusal(400, "messages: Field required")
    if not isinstance(messages, list):
        raise Refusal(400, "messages: Input should be a valid list")
    if not messages:
        raise Refusal(400, "messages: at least one message is required")

    prompt = Prompt()
    tools = _read_tools(prompt, body.get("tools") or [])
    system = body.get("system")
    if isinstance(system, str):
        prompt.add_text(system)
    elif system is not None:
        _read_blocks(prompt, system, "system")
    for place, message in enumerate(messages):
        _read_message(prompt, message, f"messages.{place}")
    prompt.mark_cache(body.get("cache_control"))

    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return Ask(
        dialect=ANTHROPIC,
        endpoint="count_tokens",
        model=model,
        prompt=prompt,
        user=user if isinstance(user, str) else None,
        tools=tools,
        service_tier=body.get("service_tier"),
        body=body,
    )


def _read_tools(prompt: Prompt, tools: Any) -> tuple[Tool, ...]:
    if not isinstance(tools, list):
        raise Refusal(400, "tools: Input should be a valid list")
    callable_tools = []
    for place, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise Refusal(400, f"tools.{place}.name: Field required")
        prompt.add_tool({name: value for name, value in tool.items() if name != "cache_control"})
        prompt.mark_cache(tool.get("cache_control"))
        if isinstance(tool.get("input_schema"), dict):
            callable_tools.append(Tool(tool["name"], tool["input_schema"]))
        elif tool.get("type", "custom") == "custom":
            raise Refusal(400, f"tools.{place}.custom.input_schema: Field required")
    return tuple(callable_tools)


def _read_message(prompt: Prompt, message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise Refusal(400, f"{where}: Input should be a valid dictionary")
    role = message.get("role")
    if role is None:
        raise Refusal(400, f"{where}.role: Field required")
    if role not in _ROLES:
        raise Refusal(400, f"{where}.role: Input should be 'user', 'assistant' or 'system'")
    prompt.add_message(role)
    content = message.get("content")
    if content is None:
        raise Refusal(400, f"{where}.content: Field required")
    if isinstance(content, str):
        if not content and role == "user":
            raise Refusal(400, f"{where}: user messages must have non-empty content")
        prompt.add_text(content)
    else:
        _read_blocks(prompt, content, f"{where}.content")


def _read_blocks(prompt: Prompt, blocks: Any, where: str) -> None:
    if not isinstance(blocks, list):
        raise Refusal(400, f"{where}: Input should be a valid list")
    for place, block in enumerate(blocks):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text" and isinstance(block.get("text"), str):
            prompt.add_text(block["text"])
        elif kind == "image":
            prompt.add_image()
        elif kind == "document":
            prompt.add_document()
        elif kind == "tool_use":
            prompt.add_json([block.get("name"), block.get("input")])
        elif kind == "tool_result":
            _read_result(prompt, block.get("content"), f"{where}.{place}.content")
        elif kind == "thinking":
            prompt.add_text(str(block.get("thinking", "")))
        elif isinstance(kind, str) and kind != "text":
            prompt.add_json(block)
        else:
            raise Refusal(400, f"{where}.{place}.{kind or 'type'}: Field required")
        prompt.mark_cache(block.get("cache_control"))


def _read_result(prompt: Prompt, content: Any, where: str) -> None:
    if isinstance(content, str):
        prompt.add_text(content)
    elif content is not None:
        _read_blocks(prompt, content, where)


def _read_thinking(ask: Ask, thinking: Any, limit: int) -> None:
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < _LEAST_BUDGET:
            raise Refusal(
                400,
                f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_BUDGET}",
            )
        if budget >= limit:
            raise Refusal(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")
    if kind in ("enabled", "adaptive"):
        ask.reasoning, ask.show_thinking = _THINKING, True


def _read_tool_choice(ask: Ask, body: dict[str, Any]) -> None:
    choice = body.get("tool_choice") or {}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "none":
        ask.tools = ()
    elif kind == "tool":
        ask.tools = tuple(tool for tool in ask.tools if tool.name == choice.get("name"))
    last = body["messages"][-1].get("content")
    answered = isinstance(last, list) and any(block.get("type") == "tool_result" for block in last)
    ask.tool_calls = 1 if ask.tools and not answered else 0
