"""A request for a message, said as a request for a chat completion."""

from typing import Any

import orjson

from apps.ai_usage.translation.members import Members, NotExpressible, number, parts

Part = dict[str, Any]
_MOST_STOPS = 4


def translate(parsed: dict[str, Any]) -> dict[str, Any]:
    """The request in OpenAI's dialect; NotExpressible with the member that cannot be said."""
    body = Members(parsed)
    said: dict[str, Any] = {"model": body.text("model"), "max_completion_tokens": body.take("max_tokens")}
    system = [_text(part) for part in parts(body.take("system", ""), "system")]
    said["messages"] = ([{"role": "system", "content": system}] if system else []) + _conversation(
        body.listed("messages")
    )
    if (temperature := body.take("temperature")) is not None:
        said["temperature"] = number(temperature, "temperature")
    if (top_p := body.take("top_p")) is not None:
        said["top_p"] = number(top_p, "top_p")
    if stops := body.listed("stop_sequences"):
        if len(stops) > _MOST_STOPS:
            raise NotExpressible(
                "stop_sequences", f"may have {_MOST_STOPS} at most with this model's provider"
            )
        said["stop"] = stops
    said |= _tools(body)
    if (metadata := body.take("metadata")) is not None:
        about = Members(metadata, "metadata")
        if user := about.take("user_id"):
            said["user"] = user
        about.done()
    if (tier := body.take("service_tier")) is not None:
        if tier not in ("auto", "standard_only"):
            raise body.refuse("service_tier")
        said["service_tier"] = "auto" if tier == "auto" else "default"
    if (config := body.take("output_config")) is not None:
        said |= _output(Members(config, "output_config"))
    body.only("thinking", {"type": "disabled"})
    body.only("mcp_servers", [])
    body.only("speed", "standard")
    if body.take("stream"):
        said |= {"stream": True, "stream_options": {"include_usage": True}}
    body.done()
    return said


def _output(config: Members) -> dict[str, Any]:
    wanted = config.take("format")
    config.done()
    if wanted is None:
        return {}
    form = Members(wanted, config.path("format"))
    if form.take("type") != "json_schema":
        raise form.refuse("type")
    schema = form.take("schema")
    form.done()
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": schema},
        }
    }


def _tools(body: Members) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if tools := [_tool(Members(tool, f"tools[{index}]")) for index, tool in enumerate(body.listed("tools"))]:
        said["tools"] = tools
    if (choice := body.take("tool_choice")) is not None:
        named = Members(choice, "tool_choice")
        kind = named.take("type")
        if kind == "tool":
            said["tool_choice"] = {"type": "function", "function": {"name": named.text("name")}}
        elif kind in ("auto", "any", "none"):
            said["tool_choice"] = "required" if kind == "any" else kind
        else:
            raise named.refuse("type")
        if named.take("disable_parallel_tool_use") is True:
            said["parallel_tool_calls"] = False
        named.done()
    return said


def _tool(tool: Members) -> Part:
    tool.only("type", "custom")
    function: Part = {"name": tool.text("name")}
    if description := tool.take("description"):
        function["description"] = description
    function["parameters"] = tool.take("input_schema") or {"type": "object", "properties": {}}
    if tool.take("strict") is True:
        function["strict"] = True
    tool.done()
    return {"type": "function", "function": function}


def _conversation(messages: list[Any]) -> list[Part]:
    said: list[Part] = []
    role = ""
    for index, given in enumerate(messages):
        message = Members(given, f"messages[{index}]")
        role = message.text("role")
        content = parts(message.take("content", ""), message.path("content"))
        if role == "user":
            said += _user(content)
        elif role == "assistant":
            said.append(_assistant(content))
        else:
            raise message.refuse("role")
        message.done()
    if role == "assistant":
        # Here it is a beginning that the model goes on with; there it is a turn that has ended.
        raise NotExpressible(f"messages[{len(messages) - 1}].role", "cannot be assistant in the last message")
    return said


def _user(content: list[Members]) -> list[Part]:
    """One turn: the results of tools as messages of their own, as OpenAI has them, then what the user says."""
    results: list[Part] = []
    shown: list[Part] = []
    for block in content:
        kind = block.take("type")
        if kind == "tool_result":
            if shown:
                raise NotExpressible(block.path("type"), "of a tool result has to come first in its message")
            results.append(_result(block))
        else:
            shown.append(_shown(block, kind))
    return results + ([{"role": "user", "content": shown}] if shown or not results else [])


def _result(block: Members) -> Part:
    block.only("is_error", False)
    content = [_text(part) for part in parts(block.take("content", ""), block.path("content"))]
    said = {"role": "tool", "tool_call_id": block.text("tool_use_id"), "content": content or ""}
    block.done()
    return said


def _shown(block: Members, kind: object) -> Part:
    if kind == "text":
        said: Part = {"type": "text", "text": block.text("text")}
    elif kind == "image":
        said = {"type": "image_url", "image_url": {"url": _address(block, "base64", "url")}}
    elif kind == "document":
        file = {"file_data": _address(block, "base64"), "filename": block.take("title", "document.pdf")}
        said = {"type": "file", "file": file}
    else:
        raise block.refuse("type")
    block.done()
    return said


def _text(part: Members) -> Part:
    if part.take("type") != "text":
        raise part.refuse("type")
    said = {"type": "text", "text": part.text("text")}
    part.done()
    return said


def _address(block: Members, *kinds: str) -> str:
    """Where an image or a document is to be had: its bytes in a `data:` URL, or its own address."""
    source = Members(block.take("source"), block.path("source"))
    kind = source.take("type")
    if kind not in kinds:
        raise source.refuse("type")
    if kind == "base64":
        address = f"data:{source.text('media_type')};base64,{source.text('data')}"
    else:
        address = source.text("url")
    source.done()
    return address


def _assistant(content: list[Members]) -> Part:
    texts: list[Part] = []
    calls: list[Part] = []
    for block in content:
        kind = block.take("type")
        if kind == "text":
            if calls:
                raise NotExpressible(block.path("type"), "of a text cannot follow a tool's use")
            texts.append({"type": "text", "text": block.text("text")})
        elif kind == "tool_use":
            arguments = orjson.dumps(block.take("input", {})).decode()
            function = {"name": block.text("name"), "arguments": arguments}
            calls.append({"id": block.text("id"), "type": "function", "function": function})
        else:
            raise block.refuse("type")
        block.done()
    said: Part = {"role": "assistant", "content": texts or None}
    return said | ({"tool_calls": calls} if calls else {})
