"""Calls that name a prompt: what of them is the prompt's, what a caller may add, and how it goes to the provider.

`lockstep_prompt` works at every endpoint that generates; `prompt` of the Responses API is ours where its id is.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson

from apps.ai_usage.gateway.callers import Caller
from apps.ai_usage.gateway.errors import Kind, Refusal
from apps.ai_usage.gateway.requests import ModelRequest
from apps.ai_usage.normalise import Endpoint
from apps.governance.prompts.errors import PromptNotFound
from apps.governance.prompts.templates import Template
from apps.governance.prompts.using import UsablePrompt

if TYPE_CHECKING:
    from apps.ai_usage.gateway.calls import Call

OURS: Final = "lockstep_prompt"
_MEMBERS: Final = frozenset({"id", "version", "label", "variables"})
# What changes how an answer is made and brought, and carries no words to the model.
_SETTINGS: Final = frozenset(
    {
        "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "temperature",
        "top_p", "top_k", "n", "seed", "stop", "stop_sequences", "user", "metadata", "service_tier", "store",
        "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "reasoning_effort", "reasoning",
        "thinking", "verbosity", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "parallel_tool_calls", "truncation", "background", OURS, "prompt",
    }
)  # fmt: skip
_TOOLS: Final = frozenset(
    {
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "response_format",
        "text",
        "output_config",
        "output_format",
    }
)
_SPOKEN: Final = {
    Endpoint.CHAT_COMPLETIONS: "messages",
    Endpoint.MESSAGES: "messages",
    Endpoint.RESPONSES: "input",
}
# A caller's own messages are a user's, and what follows from them. Instructions are the prompt's.
_INSTRUCTING: Final = frozenset({"system", "developer"})


def is_named(request: ModelRequest) -> bool:
    """Whether a request may name a prompt of ours."""
    parsed = request.parsed
    return OURS in parsed or ("prompt" in parsed and request.endpoint is Endpoint.RESPONSES)


async def render(call: "Call", caller: Caller) -> None:
    """Put the named prompt into the request, in the form of its endpoint; Refusal or DomainError where it cannot be."""
    request = call.request
    named = request.parsed.get(OURS)
    explicit = OURS in request.parsed
    if not explicit:
        named = request.parsed.get("prompt")
    ref = named.get("id") if isinstance(named, dict) else None
    if not isinstance(named, dict) or not isinstance(ref, str) or not 0 < len(ref) <= 80:
        if explicit:
            raise _wrong(f"`{OURS}` is an object with `id`, `variables`, and `version` or `label`")
        return
    found = await call.process.snapshots.prompt(caller.snapshot, ref)
    if found is None:
        if explicit:
            raise PromptNotFound
        # OpenAI's own, kept at the provider.
        return
    if request.endpoint not in _SPOKEN:
        raise _wrong("this endpoint takes no prompt")
    unknown = sorted(set(named) - _MEMBERS)
    variables = named.get("variables") or {}
    if unknown or not isinstance(variables, dict):
        raise _wrong(f"a prompt is named by {', '.join(sorted(_MEMBERS))}")
    _use(request, found, named, variables)


def _use(
    request: ModelRequest, found: UsablePrompt, named: dict[str, Any], variables: dict[str, Any]
) -> None:
    use, template = found.pick(version=named.get("version"), label=named.get("label"))
    rendered = template.render(variables)
    added = _added(request, template)
    parsed = {name: value for name, value in request.parsed.items() if name not in (OURS, "prompt")}
    system = "\n\n".join(content for role, content in rendered if role == "system")
    spoken = [{"role": role, "content": content} for role, content in rendered if role != "system"]
    if request.endpoint is Endpoint.CHAT_COMPLETIONS:
        instructions = [{"role": "system", "content": system}] if system else []
        parsed["messages"] = [*instructions, *spoken, *added]
    elif request.endpoint is Endpoint.MESSAGES:
        if system:
            parsed["system"] = system
        parsed["messages"] = [*spoken, *added]
    else:
        if system:
            parsed["instructions"] = system
        parsed["input"] = [*spoken, *added]
    request.parsed, request.body = parsed, orjson.dumps(parsed)
    request.translated = None
    request.prompt, request.prompt_ref = use, use.ref


def _added(request: ModelRequest, template: Template) -> list[Any]:
    """The caller's own messages where the prompt takes any. Nothing else that speaks to the model gets through."""
    own = _SPOKEN[request.endpoint]
    allowed = _SETTINGS | (_TOOLS if "tools" in template.accepts else set())
    # What is there and says nothing adds nothing.
    given = {name for name, value in request.parsed.items() if value not in (None, [], "", {})}
    more = given - allowed - {own}
    if own in given and "messages" not in template.accepts:
        more.add(own)
    if more:
        names = ", ".join(sorted(more))[:200]
        raise _wrong(
            f"the prompt takes no {names} from its caller, only variables and what its version accepts"
        )
    messages = request.parsed.get(own) or []
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list):
        raise _wrong(f"`{own}` is a list of messages")
    for message in messages:
        if not isinstance(message, dict):
            raise _wrong("a message is an object")
        kind = message.get("type", "message")
        if str(message.get("role", "")).strip().lower() in _INSTRUCTING or kind == "item_reference":
            raise _wrong(
                "the caller's messages are a user's, an assistant's or a tool's; instructions are the prompt's"
            )
        if kind == "message" and message.get("role") not in ("user", "assistant", "tool", "function"):
            raise _wrong("a message has the role user, assistant or tool")
    return messages


def _wrong(reason: str) -> Refusal:
    return Refusal(
        Kind.INVALID, "invalid_prompt_use", f"The prompt cannot be used so: {reason}.", param="prompt"
    )
