"""A request understood: what the four kinds of model endpoint have in common once their bodies are read."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from deploy.local.model_simulator import tokens

# What a request costs besides its text. Constants, so that a test can compute every bill by hand.
TOKENS_PER_MESSAGE: Final = 3
TOKENS_PER_REQUEST: Final = 3
TOKENS_PER_TOOL: Final = 8
TOKENS_PER_IMAGE: Final = 765
TOKENS_PER_LOW_DETAIL_IMAGE: Final = 85
TOKENS_PER_DOCUMENT: Final = 1500
AUDIO_BYTES_PER_TOKEN: Final = 1000


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CacheMark:
    """A point up to which an Anthropic client asks the prompt to be cached."""

    tokens: int
    fingerprint: int
    one_hour: bool


class Prompt:
    """Counts a prompt while its parts are read in order, and remembers enough to answer it reproducibly."""

    __slots__ = ("audio", "fingerprint", "marks", "said", "text")

    def __init__(self) -> None:
        self.text = TOKENS_PER_REQUEST  # images are counted here too: providers bill them as text
        self.audio = 0
        self.fingerprint = 0
        self.marks: list[CacheMark] = []
        self.said: list[str] = []

    def add_message(self, role: str) -> None:
        """Count what a message costs besides its content."""
        self.text += TOKENS_PER_MESSAGE
        self.fingerprint = zlib.crc32(role.encode(), self.fingerprint)

    def add_text(self, text: str) -> None:
        """Count a text."""
        self.text += tokens.count(text)
        self.said.append(text)
        self.fingerprint = zlib.crc32(text.encode("utf-8", "surrogatepass"), self.fingerprint)

    def add_json(self, value: Any) -> None:
        """Count a value as the text of its JSON."""
        self.add_text(orjson.dumps(value).decode())

    def add_tool(self, definition: Any) -> None:
        """Count a tool's definition."""
        self.text += TOKENS_PER_TOOL
        self.add_json(definition)

    def add_image(self, *, low_detail: bool = False) -> None:
        """Count an image, whatever its size."""
        self.text += TOKENS_PER_LOW_DETAIL_IMAGE if low_detail else TOKENS_PER_IMAGE

    def add_document(self) -> None:
        """Count a document, whatever its size."""
        self.text += TOKENS_PER_DOCUMENT

    def add_audio(self, encoded: str) -> None:
        """Count a base64 recording by its length."""
        self.audio += 1 + len(encoded) // AUDIO_BYTES_PER_TOKEN

    def mark_cache(self, control: Any) -> None:
        """Note that the client wants the prompt cached up to here."""
        if isinstance(control, dict):
            self.marks.append(CacheMark(self.text, self.fingerprint, control.get("ttl") == "1h"))


@dataclass(slots=True)
class Ask:
    """A validated request."""

    dialect: str
    endpoint: str
    model: str
    prompt: Prompt
    stream: bool = False
    user: str | None = None
    seed: int = 0
    choices: int = 1
    output_limit: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_calls: int = 0  # how many the model makes now; 0 is an answer in words
    json_schema: dict[str, Any] | None = None
    reasoning: int = 0
    show_thinking: bool = False
    service_tier: str | None = None
    include_usage: bool = False
    include_obfuscation: bool = True
    inputs: list[int] = field(default_factory=list)  # the seeds of the texts to embed
    dimensions: int = 0
    base64: bool = False
    body: dict[str, Any] = field(default_factory=dict)

    def seed_of(self, choice: int) -> int:
        """Return the number that decides what this choice says; streaming or not makes no difference."""
        return zlib.crc32(f"{self.model}|{self.seed}|{choice}".encode(), self.prompt.fingerprint)


def strings(value: Any) -> tuple[str, ...]:
    """Return a string, or a list of strings, as a tuple of strings."""
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, Iterable) else ()
