"""OpenAI's `POST /v1/responses`: reading requests."""

from typing import Any, Final

from deploy.local.model_simulator.ask import Ask, Prompt, Tool
from deploy.local.model_simulator.dialects import OPENAI, Refusal
from deploy.local.model_simulator.endpoints import fields

ID_PREFIX: Final = "resp_"
_ROLES: Final = ["assistant", "system", "developer", "user"]
_LEAST_OUTPUT: Final = 16


def read(body: dict[str, Any]) -> Ask:
    """Understand a request, or refuse it as OpenAI does."""
    model = fields.openai_model(body)
    given = body.get("input")
    if given is None:
        raise fields.missing("input")
    if body.get("background"):
        # Background work is Lockstep's own; if this arrives, something was passed on that should not be.
        raise Refusal(400, "Background responses are not simulated.", param="background")
    tools = _read_tools(body.get("tools") or [])
    prompt = Prompt()
    for tool in body.get("tools") or []:
        prompt.add_tool(tool)
    if isinstance(body.get("instructions"), str):
        prompt.add_message("developer")
        prompt.add_text(body["instructions"])
    answered = _read_input(prompt, given)

    stream = body.get("stream") is True
    options = body.get("stream_options") or {}
    chosen = _chosen(tools, body.get("tool_choice"))
    reasoning = body.get("reasoning")
    return Ask(
        dialect=OPENAI,
        endpoint="responses",
        model=model,
        prompt=prompt,
        stream=stream,
        user=fields.openai_user(body),
        output_limit=fields.openai_integer(body, "max_output_tokens", lowest=_LEAST_OUTPUT),
        tools=chosen,
        tool_calls=1 if chosen and not answered else 0,
        json_schema=_json_schema(body.get("text")),
        reasoning=fields.reasoning_for(reasoning.get("effort")) if isinstance(reasoning, dict) else 0,
        service_tier=body.get("service_tier"),
        include_usage=True,
        include_obfuscation=options.get("include_obfuscation") is not False,
        body=body,
    )


def _read_input(prompt: Prompt, given: Any) -> bool:
    """Count the input and say whether it ends with a tool's result."""
    if isinstance(given, str):
        prompt.add_message("user")
        prompt.add_text(given)
        return False
    if not isinstance(given, list) or not given:
        raise fields.invalid_type("input", "a string or an array of objects", given)
    for place, item in enumerate(given):
        _read_item(prompt, item, f"input[{place}]")
    return str(given[-1].get("type")).endswith("_call_output")


def _read_item(prompt: Prompt, item: Any, where: str) -> None:
    if not isinstance(item, dict):
        raise fields.invalid_type(where, "an object", item)
    if item.get("type", "message") != "message":
        prompt.add_message(str(item["type"]))
        kept = {name: value for name, value in item.items() if name not in ("id", "call_id", "status")}
        prompt.add_json(kept)
        return
    role = item.get("role")
    if role not in _ROLES:
        raise fields.invalid_value(f"{where}.role", role, _ROLES)
    prompt.add_message(role)
    content = item.get("content")
    if isinstance(content, str):
        prompt.add_text(content)
    elif isinstance(content, list):
        for place, part in enumerate(content):
            _read_part(prompt, part, f"{where}.content[{place}]")
    else:
        raise fields.missing(f"{where}.content")


def _read_part(prompt: Prompt, part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text") and isinstance(part.get("text"), str):
        prompt.add_text(part["text"])
    elif kind == "refusal":
        prompt.add_text(str(part.get("refusal", "")))
    elif kind == "input_image":
        prompt.add_image(low_detail=part.get("detail") == "low")
    elif kind == "input_file":
        prompt.add_document()
    elif kind == "input_audio":
        prompt.add_audio(str((part.get("input_audio") or {}).get("data", "")))
    else:
        raise fields.invalid_value(
            f"{where}.type", kind, ["input_text", "input_image", "output_text", "refusal", "input_file"]
        )


def _read_tools(tools: Any) -> tuple[Tool, ...]:
    """Return the functions among the tools; the others OpenAI would run itself."""
    if not isinstance(tools, list):
        raise fields.invalid_type("tools", "an array of objects", tools)
    functions = []
    for place, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise fields.missing(f"tools[{place}].type")
        if tool["type"] == "function":
            if not isinstance(tool.get("name"), str):
                raise fields.missing(f"tools[{place}].name")
            functions.append(Tool(tool["name"], tool.get("parameters") or {"type": "object"}))
    return tuple(functions)


def _chosen(tools: tuple[Tool, ...], choice: Any) -> tuple[Tool, ...]:
    if choice == "none":
        return ()
    if isinstance(choice, dict) and choice.get("type") == "function":
        return tuple(tool for tool in tools if tool.name == choice.get("name"))
    return tools


def _json_schema(text: Any) -> dict[str, Any] | None:
    form = text.get("format") if isinstance(text, dict) else None
    if not isinstance(form, dict):
        return None
    kind = form.get("type")
    if kind == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    if kind == "json_schema":
        if not isinstance(form.get("schema"), dict):
            raise fields.missing("text.format.schema")
        schema: dict[str, Any] = form["schema"]
        return schema
    return None
