"""OpenAI's `POST /v1/chat/completions`."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

import orjson

from deploy.local.model_simulator.answer import TEXT, TOOL, Choice
from deploy.local.model_simulator.ask import Ask, Prompt, Tool, strings
from deploy.local.model_simulator.dialects import OPENAI, Refusal
from deploy.local.model_simulator.endpoints import fields
from deploy.local.model_simulator.exchange import Exchange, Frame, event, new_id

ID_PREFIX: Final = "chatcmpl-"
_ROLES: Final = ["system", "assistant", "user", "function", "tool", "developer"]
_DONE: Final = b"data: [DONE]\n\n"


def read(body: dict[str, Any]) -> Ask:
    """Understand a request, or refuse it as OpenAI does."""
    model = fields.openai_model(body)
    messages = body.get("messages")
    if messages is None:
        raise fields.missing("messages")
    if not isinstance(messages, list):
        raise fields.invalid_type("messages", "an array of objects", messages)
    if not messages:
        raise Refusal(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
            code="empty_array",
            param="messages",
        )
    tools = _tools(body)
    prompt = Prompt()
    for tool in body.get("tools") or []:
        prompt.add_tool(tool)
    for place, message in enumerate(messages):
        _read_message(prompt, message, f"messages[{place}]")

    stream = body.get("stream") is True
    options = body.get("stream_options")
    if options is not None and not stream:
        raise Refusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    options = options or {}
    chosen = _chosen(tools, body.get("tool_choice"))
    return Ask(
        dialect=OPENAI,
        endpoint="chat.completions",
        model=model,
        prompt=prompt,
        stream=stream,
        user=fields.openai_user(body),
        seed=body["seed"] if isinstance(body.get("seed"), int) else 0,
        choices=fields.openai_integer(body, "n", lowest=1, highest=128) or 1,
        output_limit=_output_limit(body),
        stop=strings(body.get("stop")),
        tools=chosen,
        tool_calls=1 if chosen and messages[-1].get("role") not in ("tool", "function") else 0,
        json_schema=_json_schema(body.get("response_format")),
        reasoning=fields.reasoning_for(body.get("reasoning_effort")),
        service_tier=body.get("service_tier"),
        include_usage=options.get("include_usage") is True,
        include_obfuscation=options.get("include_obfuscation") is not False,
        body=body,
    )


def _read_message(prompt: Prompt, message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise fields.invalid_type(where, "an object", message)
    role = message.get("role")
    if role is None:
        raise fields.missing(f"{where}.role")
    if role not in _ROLES:
        raise fields.invalid_value(f"{where}.role", role, _ROLES)
    prompt.add_message(role)
    content = message.get("content")
    if isinstance(content, str):
        prompt.add_text(content)
    elif isinstance(content, list):
        for place, part in enumerate(content):
            _read_part(prompt, part, f"{where}.content[{place}]")
    elif content is not None:
        raise fields.invalid_type(f"{where}.content", "a string or an array of objects", content)
    elif role in ("user", "system", "developer"):
        raise fields.missing(f"{where}.content")
    for call in message.get("tool_calls") or []:
        prompt.add_json(call.get("function") if isinstance(call, dict) else call)


def _read_part(prompt: Prompt, part: Any, where: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        prompt.add_text(part[kind])
    elif kind == "image_url" and isinstance(part.get("image_url"), dict):
        prompt.add_image(low_detail=part["image_url"].get("detail") == "low")
    elif kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        prompt.add_audio(str(part["input_audio"].get("data", "")))
    elif kind == "file":
        prompt.add_document()
    else:
        raise fields.invalid_value(
            f"{where}.type", kind, ["text", "image_url", "input_audio", "refusal", "file"]
        )


def _tools(body: dict[str, Any]) -> tuple[Tool, ...]:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise fields.invalid_type("tools", "an array of objects", tools)
    read_tools = []
    for place, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise fields.missing(f"tools[{place}].function")
        read_tools.append(Tool(function["name"], function.get("parameters") or {"type": "object"}))
    return tuple(read_tools)


def _chosen(tools: tuple[Tool, ...], choice: Any) -> tuple[Tool, ...]:
    """Return the tools the model may use now, the one it was told to use first."""
    if choice == "none":
        return ()
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        return tuple(tool for tool in tools if tool.name == name)
    return tools


def _output_limit(body: dict[str, Any]) -> int | None:
    old = fields.openai_integer(body, "max_tokens", lowest=1)
    new = fields.openai_integer(body, "max_completion_tokens", lowest=1)
    if old is not None and new is not None:
        raise Refusal(
            400,
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
            param="max_tokens",
        )
    return old if new is None else new


def _json_schema(response_format: Any) -> dict[str, Any] | None:
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    if kind == "json_schema":
        schema = (response_format.get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict):
            raise fields.missing("response_format.json_schema.schema")
        return schema
    return None


def render(exchange: Exchange) -> dict[str, Any]:
    """Return the whole answer as one body."""
    body = {
        "id": exchange.response_id,
        "object": "chat.completion",
        "created": exchange.created,
        "model": exchange.model,
        "choices": [_rendered(index, choice) for index, choice in enumerate(exchange.answer.choices)],
        "service_tier": exchange.service_tier,
        "system_fingerprint": "fp_lockstep",
    }
    usage = exchange.reported()
    if usage is not None:
        body["usage"] = usage
    return body


def _rendered(index: int, choice: Choice) -> dict[str, Any]:
    text = "".join(block.text for block in choice.blocks if block.kind == TEXT)
    calls = [
        {"id": new_id("call_"), "type": "function", "function": {"name": block.tool, "arguments": block.text}}
        for block in choice.blocks
        if block.kind == TOOL
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls and not text else text,
        "refusal": None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish}


def frames(exchange: Exchange) -> Iterator[Frame]:
    """Return the stream, event by event."""
    chunks = _Chunks(exchange)
    if len(exchange.answer.choices) == 1:
        yield from chunks.of_choice(0, exchange.answer.choices[0])
    else:
        streams = [chunks.of_choice(index, choice) for index, choice in enumerate(exchange.answer.choices)]
        for turn in zip_longest(*streams):
            yield from (frame for frame in turn if frame is not None)
    usage = exchange.reported()
    if exchange.ask.include_usage and usage is not None:
        frame = chunks.of_usage(usage)
        yield frame
        if exchange.behaviour.duplicate_usage:
            yield frame
    if not exchange.behaviour.no_terminal:
        yield Frame(_DONE, is_final=True)


class _Chunks:
    """Builds `chat.completion.chunk` events. The part that never changes is serialised once."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._head: dict[str, Any] = {
            "id": exchange.response_id,
            "object": "chat.completion.chunk",
            "created": exchange.created,
            "model": exchange.model,
            "service_tier": exchange.service_tier,
            "system_fingerprint": "fp_lockstep",
        }
        self._prefix = b"data: " + orjson.dumps(self._head)[:-1] + b","
        self._tail: dict[str, Any] = {"usage": None} if exchange.ask.include_usage else {}

    def of_usage(self, usage: dict[str, Any]) -> Frame:
        tail: dict[str, Any] = {"choices": [], "usage": usage}
        return Frame(event(self._head | tail | self._padding(8)), is_final=True)

    def of_choice(self, index: int, choice: Choice) -> Iterator[Frame]:
        calls = [block for block in choice.blocks if block.kind == TOOL]
        first = {"role": "assistant", "content": None if calls else "", "refusal": None}
        # What the model thought before its first word is produced by the time the word is sent.
        yield self._chunk(index, first, None, choice.reasoning)
        for block in choice.blocks:
            if block.kind == TEXT:
                for text, size in self._exchange.grouped(block.pieces):
                    yield self._chunk(index, {"content": text}, None, size, is_chunk=True)
        for place, block in enumerate(calls):
            call = {"name": block.tool, "arguments": ""}
            opening = {"index": place, "id": new_id("call_"), "type": "function", "function": call}
            yield self._chunk(index, {"tool_calls": [opening]}, None, block.head, is_chunk=True)
            for text, size in self._exchange.grouped(block.pieces):
                fragment = {"index": place, "function": {"arguments": text}}
                yield self._chunk(index, {"tool_calls": [fragment]}, None, size, is_chunk=True)
        yield self._chunk(index, {}, choice.finish, 0)

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: str | None, size: int, *, is_chunk: bool = False
    ) -> Frame:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        changing = {"choices": [choice], **self._tail, **self._padding(len(delta.get("content") or ""))}
        return Frame(self._prefix + orjson.dumps(changing)[1:] + b"\n\n", size, is_chunk)

    def _padding(self, length: int) -> dict[str, str]:
        return {"obfuscation": fields.obfuscation(length)} if self._exchange.ask.include_obfuscation else {}
