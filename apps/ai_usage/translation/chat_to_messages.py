"""A request for a chat completion, said as a request for a message."""

from typing import Any

import orjson

from apps.ai_usage.translation.members import Members, NotExpressible, data_url, number, parts

Block = dict[str, Any]


def translate(parsed: dict[str, Any], *, max_output: int) -> dict[str, Any]:
    """The request in Anthropic's dialect; NotExpressible with the member that cannot be said.

    `max_output` stands in where the client named no limit, which Anthropic requires.
    """
    body = Members(parsed)
    said: dict[str, Any] = {"model": body.text("model")}
    said["max_tokens"] = body.take("max_completion_tokens") or body.take("max_tokens") or max_output
    said |= _conversation(body.listed("messages"))
    said |= _sampling(body)
    said |= _tools(body)
    if user := body.take("user"):
        said["metadata"] = {"user_id": user}
    if (tier := body.take("service_tier")) is not None:
        if tier not in ("auto", "default"):
            raise body.refuse("service_tier")
        said["service_tier"] = "auto" if tier == "auto" else "standard_only"
    if (wanted := body.take("response_format")) is not None:
        said |= _format(Members(wanted, "response_format"))
    if body.take("stream"):
        said["stream"] = True
    if (options := body.take("stream_options")) is not None:
        choices = Members(options, "stream_options")
        choices.only("include_usage", True, False)
        choices.only("include_obfuscation", False)
        choices.done()
    _same_as_default(body)
    body.done()
    return said


def _same_as_default(body: Members) -> None:
    """Members that may stand there as long as they ask for nothing."""
    body.only("n", 1)
    body.only("logprobs", False)
    body.only("store", False)
    body.only("frequency_penalty", 0, 0.0)
    body.only("presence_penalty", 0, 0.0)
    body.only("logit_bias", {})
    body.only("metadata", {})
    body.only("modalities", ["text"])


def _sampling(body: Members) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if (temperature := body.take("temperature")) is not None:
        said["temperature"] = number(temperature, "temperature", most=1)
    if (top_p := body.take("top_p")) is not None:
        said["top_p"] = number(top_p, "top_p")
    stop = body.take("stop")
    if stop is not None and stop != []:
        said["stop_sequences"] = [stop] if isinstance(stop, str) else stop
        if not isinstance(said["stop_sequences"], list):
            raise body.refuse("stop")
    return said


def _format(wanted: Members) -> dict[str, Any]:
    kind = wanted.take("type")
    if kind == "text":
        wanted.done()
        return {}
    if kind != "json_schema":
        raise wanted.refuse("type")
    schema = Members(wanted.take("json_schema"), wanted.path("json_schema"))
    schema.take("name")  # a label for logs and errors; it does not reach the answer
    # Anthropic always holds the model to the schema, which is what `strict` asks for and its absence does not.
    if schema.take("strict") is not True:
        raise NotExpressible(
            schema.path("strict"), "has to be true, since this model's provider knows no other way"
        )
    schema.only("description", "")
    said = {"output_config": {"format": {"type": "json_schema", "schema": schema.take("schema", {})}}}
    schema.done()
    wanted.done()
    return said


def _tools(body: Members) -> dict[str, Any]:
    said: dict[str, Any] = {}
    tools = [_tool(Members(tool, f"tools[{index}]")) for index, tool in enumerate(body.listed("tools"))]
    if tools:
        said["tools"] = tools
    choice = body.take("tool_choice")
    parallel = body.take("parallel_tool_calls")
    if choice is not None:
        said["tool_choice"] = _tool_choice(choice)
    if parallel is False and tools:
        how = said.setdefault("tool_choice", {"type": "auto"})
        if how["type"] != "none":
            how["disable_parallel_tool_use"] = True
    elif parallel not in (None, True, False):
        raise body.refuse("parallel_tool_calls")
    return said


def _tool(tool: Members) -> Block:
    if tool.take("type") != "function":
        raise tool.refuse("type")
    function = Members(tool.take("function"), tool.path("function"))
    said: Block = {"name": function.text("name")}
    if description := function.take("description"):
        said["description"] = description
    said["input_schema"] = function.take("parameters") or {"type": "object", "properties": {}}
    if function.take("strict") is True:
        said["strict"] = True
    function.done()
    tool.done()
    return said


def _tool_choice(choice: object) -> Block:
    words = {"auto": "auto", "none": "none", "required": "any"}
    if isinstance(choice, str):
        if choice not in words:
            raise NotExpressible("tool_choice")
        return {"type": words[choice]}
    named = Members(choice, "tool_choice")
    if named.take("type") != "function":
        raise named.refuse("type")
    function = Members(named.take("function"), named.path("function"))
    said = {"type": "tool", "name": function.text("name")}
    function.done()
    named.done()
    return said


def _conversation(messages: list[Any]) -> dict[str, Any]:
    system: list[Block] = []
    turns: list[dict[str, Any]] = []
    role = ""
    for index, given in enumerate(messages):
        message = Members(given, f"messages[{index}]")
        role = message.text("role")
        if role in ("system", "developer"):
            if turns:
                raise NotExpressible(
                    message.path("role"), f"cannot be {role} after the conversation has begun"
                )
            system += _texts(message, "content")
        elif role == "user":
            _add(
                turns,
                "user",
                [_shown(part) for part in parts(message.take("content"), message.path("content"))],
            )
        elif role == "assistant":
            _add(turns, "assistant", _spoken(message))
        elif role == "tool":
            _add(turns, "user", [_result(message)])
        else:
            raise message.refuse("role")
        message.done()
    if role == "assistant":
        # There it is a beginning that the model goes on with; here it is a turn that has ended.
        raise NotExpressible(f"messages[{len(messages) - 1}].role", "cannot be assistant in the last message")
    return ({"system": system} if system else {}) | {"messages": turns}


def _add(turns: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    """Add to the conversation, in which turns alternate: tool results and the user's next words are one turn."""
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _texts(message: Members, name: str) -> list[Block]:
    said = []
    for part in parts(message.take(name, ""), message.path(name)):
        if part.take("type") != "text":
            raise part.refuse("type")
        said.append({"type": "text", "text": part.text("text")})
        part.done()
    return said


def _shown(part: Members) -> Block:
    kind = part.take("type")
    if kind == "text":
        said: Block = {"type": "text", "text": part.text("text")}
    elif kind == "image_url":
        image = Members(part.take("image_url"), part.path("image_url"))
        image.only("detail", "auto")
        said = {"type": "image", "source": _source(image, "url")}
        image.done()
    elif kind == "file":
        file = Members(part.take("file"), part.path("file"))
        said = {"type": "document", "source": _source(file, "file_data")}
        if said["source"]["type"] != "base64" or said["source"]["media_type"] != "application/pdf":
            raise file.refuse("file_data")
        if title := file.take("filename"):
            said["title"] = title
        file.done()
    else:
        raise part.refuse("type")
    part.done()
    return said


def _source(holder: Members, name: str) -> Block:
    url = holder.text(name)
    if (inline := data_url(url)) is not None:
        return {"type": "base64", "media_type": inline[0], "data": inline[1]}
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise holder.refuse(name)


def _spoken(message: Members) -> list[Block]:
    said = _texts(message, "content")
    message.only("annotations", [])
    for index, given in enumerate(message.listed("tool_calls")):
        call = Members(given, f"{message.path('tool_calls')}[{index}]")
        if call.take("type") != "function":
            raise call.refuse("type")
        function = Members(call.take("function"), call.path("function"))
        said.append(
            {
                "type": "tool_use",
                "id": call.text("id"),
                "name": function.text("name"),
                "input": _input(function),
            }
        )
        function.done()
        call.done()
    return said


def _input(function: Members) -> dict[str, Any]:
    arguments = function.text("arguments")
    try:
        said = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise NotExpressible(function.path("arguments"), "is not a JSON object")
    return said


def _result(message: Members) -> Block:
    return {
        "type": "tool_result",
        "tool_use_id": message.text("tool_call_id"),
        "content": _texts(message, "content"),
    }
