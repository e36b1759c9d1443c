"""What the model says to a request, as tokens, before any wire format."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from deploy.local.model_simulator import tokens
from deploy.local.model_simulator.ask import Ask, CacheMark, Tool
from deploy.local.model_simulator.behaviour import Behaviour
from deploy.local.model_simulator.dialects import ANTHROPIC, Refusal
from deploy.local.model_simulator.example import example
from deploy.local.model_simulator.usage import Usage

TEXT: Final = "text"
TOOL: Final = "tool"
THINKING: Final = "thinking"

_SHORTEST_ANSWER: Final = 12
_ANSWER_SPREAD: Final = 24
_MAX_CACHED_PREFIXES: Final = 10_000
_SECONDS_KEPT: Final = {False: 300.0, True: 3600.0}


@dataclass(slots=True)
class Block:
    """A part of an answer. `head` is what opening it costs: the name, for a tool call."""

    kind: str
    pieces: list[str]
    head: int = 0
    tool: str = ""

    @property
    def text(self) -> str:
        """The whole of what it says: words, thoughts, or the arguments' JSON."""
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        """What it counts."""
        return self.head + len(self.pieces)


@dataclass(slots=True)
class Choice:
    """One of the answers. `finish` is stop, length or tool_calls, or whatever the test asked for."""

    blocks: list[Block]
    finish: str = "stop"
    stop_sequence: str | None = None
    reasoning: int = 0


@dataclass(slots=True)
class Answer:
    """Everything the model produced for a request, and its bill."""

    choices: list[Choice]
    usage: Usage


class PrefixCache:
    """The prompt prefixes Anthropic would still hold for a key, as marked with `cache_control`."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, int, int], float] = {}

    def look_up(self, owner: tuple[str, str], marks: list[CacheMark], now: float) -> tuple[int, int, int]:
        """Return tokens read, written for 5 minutes and written for 1 hour, and hold every marked prefix."""
        keys = [(*owner, mark.fingerprint, mark.tokens) for mark in marks]
        hits = [place for place, key in enumerate(keys) if self._until.get(key, 0.0) > now]
        last_hit = hits[-1] if hits else -1
        read = marks[last_hit].tokens if hits else 0
        written = {False: 0, True: 0}
        start = read
        for mark in marks[last_hit + 1 :]:
            written[mark.one_hour] += max(mark.tokens - start, 0)
            start = mark.tokens
        for key, mark in zip(keys, marks, strict=True):
            if key not in self._until and len(self._until) >= _MAX_CACHED_PREFIXES:
                self._until.pop(next(iter(self._until)))
            self._until[key] = now + _SECONDS_KEPT[mark.one_hour]
        return read, written[False], written[True]


def compose(ask: Ask, behaviour: Behaviour, *, cache: PrefixCache, api_key: str, now: float) -> Answer:
    """Write the answer to a request and count it."""
    usage = _count_input(ask, behaviour, cache=cache, api_key=api_key, now=now)
    if behaviour.context_tokens is not None and usage.total_input > behaviour.context_tokens:
        raise _context_exceeded(ask, usage.total_input, behaviour.context_tokens)
    if ask.endpoint == "embeddings":
        return Answer([], usage)

    choices = [_choose(ask, behaviour, index) for index in range(ask.choices)]
    reasoning = sum(choice.reasoning for choice in choices)
    visible = sum(block.tokens for choice in choices for block in choice.blocks)
    return Answer(
        choices,
        Usage(
            input=usage.input,
            cache_read=usage.cache_read,
            cache_write_5m=usage.cache_write_5m,
            cache_write_1h=usage.cache_write_1h,
            audio_input=usage.audio_input,
            image_input=usage.image_input,
            output=visible + reasoning + behaviour.audio_output_tokens + behaviour.rejected_tokens,
            audio_output=behaviour.audio_output_tokens,
            reasoning=_reported_reasoning(choices, reasoning),
            rejected=behaviour.rejected_tokens,
            web_searches=behaviour.web_searches,
        ),
    )


def _reported_reasoning(choices: list[Choice], hidden: int) -> int:
    shown = sum(block.tokens for choice in choices for block in choice.blocks if block.kind == THINKING)
    return hidden + shown


def _count_input(ask: Ask, behaviour: Behaviour, *, cache: PrefixCache, api_key: str, now: float) -> Usage:
    audio = ask.prompt.audio + behaviour.audio_input_tokens
    read, write_5m, write_1h = behaviour.cached_tokens, 0, 0
    if ask.prompt.marks:
        found, write_5m, write_1h = cache.look_up((api_key, ask.model), ask.prompt.marks, now)
        counted = ask.prompt.text - found - write_5m - write_1h
        read += found
    else:
        counted = ask.prompt.text
    write_5m += behaviour.cache_write_5m_tokens
    write_1h += behaviour.cache_write_1h_tokens

    if behaviour.input_tokens is not None:
        # The number is what the provider itself calls the input: OpenAI's includes the cached tokens.
        counted = behaviour.input_tokens
        if ask.dialect != ANTHROPIC:
            counted -= read + write_5m + write_1h + audio + behaviour.image_input_tokens
    return Usage(
        input=max(counted, 0),
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        audio_input=audio,
        image_input=behaviour.image_input_tokens,
    )


def _context_exceeded(ask: Ask, found: int, limit: int) -> Refusal:
    if ask.dialect == ANTHROPIC:
        return Refusal(400, f"prompt is too long: {found} tokens > {limit} maximum")
    return Refusal(
        400,
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {found} "
        "tokens. Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="input" if ask.endpoint == "responses" else "messages",
    )


def _choose(ask: Ask, behaviour: Behaviour, index: int) -> Choice:
    seed = ask.seed_of(index)
    thinking = ask.reasoning if behaviour.reasoning_tokens is None else behaviour.reasoning_tokens
    calls = ask.tool_calls if behaviour.tool_calls is None else behaviour.tool_calls
    choice = Choice(blocks=[])
    if ask.dialect == ANTHROPIC and thinking:
        choice.blocks.append(Block(THINKING, tokens.write(seed + 7, thinking)))
    elif thinking:
        choice.reasoning = thinking

    if calls and ask.tools and behaviour.text is None:
        for place in range(calls):
            tool = ask.tools[place % len(ask.tools)]
            choice.blocks.append(_call(tool, seed + place, behaviour.arguments))
        choice.finish = "tool_calls"
    elif ask.json_schema is not None and behaviour.text is None:
        choice.blocks.append(Block(TEXT, tokens.tokenize(_json(example(ask.json_schema, seed)))))
    else:
        choice.blocks.append(_speak(ask, behaviour, seed, choice))
    if ask.output_limit is not None:
        _truncate(choice, ask.output_limit)
    if behaviour.finish is not None:
        choice.finish = behaviour.finish
    return choice


def _call(tool: Tool, seed: int, told: str | None) -> Block:
    if told is not None:
        return Block(TOOL, tokens.tokenize(told), head=tokens.count(tool.name), tool=tool.name)
    arguments = example(tool.schema, seed)
    if not isinstance(arguments, dict):
        arguments = {}
    return Block(TOOL, tokens.tokenize(_json(arguments)), head=tokens.count(tool.name), tool=tool.name)


def _speak(ask: Ask, behaviour: Behaviour, seed: int, choice: Choice) -> Block:
    if behaviour.text is not None:
        pieces = tokens.tokenize(behaviour.text)
    elif behaviour.echo:
        pieces = tokens.tokenize("\n".join(ask.prompt.said))
    else:
        length = behaviour.output_tokens
        pieces = tokens.write(seed, _SHORTEST_ANSWER + seed % _ANSWER_SPREAD if length is None else length)
    if ask.stop:
        text = "".join(pieces)
        found = [(text.find(stop), stop) for stop in ask.stop if stop and stop in text]
        if found:
            place, choice.stop_sequence = min(found)
            pieces = tokens.tokenize(text[:place])
    return Block(TEXT, pieces)


def _truncate(choice: Choice, limit: int) -> None:
    """Keep the first `limit` tokens; hidden reasoning comes first and counts."""
    if choice.reasoning >= limit:
        choice.reasoning, left = limit, 0
    else:
        left = limit - choice.reasoning
    kept: list[Block] = []
    truncated = False
    for block in choice.blocks:
        if truncated or (left < block.head + 1 and block.tokens > 0):
            truncated = True
            continue
        if block.tokens > left:
            block.pieces = block.pieces[: left - block.head]
            truncated = True
        left -= block.tokens
        kept.append(block)
    if truncated:
        choice.blocks = kept or [Block(TEXT, [])]
        choice.finish, choice.stop_sequence = "length", None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
