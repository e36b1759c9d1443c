"""What a prompt says and how it is filled in. A value is data: it is put in once, and never read as a template."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from apps.governance.prompts.errors import InvalidPrompt, InvalidVariables

_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,39})\s*\}\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}\Z")
ROLES: Final = ("system", "user", "assistant")
TYPES: Final = ("string", "integer", "number", "boolean")
ACCEPTS: Final = ("messages", "tools")
_MOST_MESSAGES, _MOST_VARIABLES, _LONGEST, LONGEST_VALUE = 50, 50, 100_000, 100_000
DEFAULT_LENGTH: Final = 4_000


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing that a caller fills in."""

    type: str = "string"
    # Of the value as it stands in the text.
    max_length: int = DEFAULT_LENGTH
    required: bool = True
    default: Any = None

    def problem(self, value: Any) -> str:
        """What is wrong with a value; empty where nothing is."""
        fits = {
            "string": isinstance(value, str),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, (int, float))
            and not isinstance(value, bool)
            and math.isfinite(value),
            "boolean": isinstance(value, bool),
        }[self.type]
        if not fits:
            return f"is no {self.type}"
        if isinstance(value, str) and not _is_text(value):
            return "holds what is no text"
        return f"is longer than {self.max_length} characters" if len(_said(value)) > self.max_length else ""

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        stored = {"type": self.type, "max_length": self.max_length, "required": self.required}
        return stored if self.required else stored | {"default": self.default}


@dataclass(frozen=True, slots=True)
class Template:
    """Messages with places for variables, and what else a caller may add to them."""

    messages: tuple[tuple[str, str], ...]
    variables: Mapping[str, Variable] = field(default_factory=dict)
    # "messages": the caller's own, after these; "tools": definitions of tools and of the answer's form.
    accepts: frozenset[str] = frozenset()

    def render(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The messages with these values; InvalidVariables naming each that is unknown, missing or does not fit."""
        problems = [f"{name[:40]} is unknown" for name in values if name not in self.variables]
        texts: dict[str, str] = {}
        for name, variable in self.variables.items():
            if name in values:
                problem = variable.problem(values[name])
                if problem:
                    problems.append(f"{name} {problem}")
                    continue
                texts[name] = _said(values[name])
            elif variable.required:
                problems.append(f"{name} is missing")
            else:
                texts[name] = "" if variable.default is None else _said(variable.default)
        if problems:
            raise InvalidVariables(problems)
        return [
            (role, _VARIABLE.sub(lambda found: texts[found[1]], content)) for role, content in self.messages
        ]

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "messages": [{"role": role, "content": content} for role, content in self.messages],
            "variables": {name: variable.to_json() for name, variable in self.variables.items()},
            "accepts": sorted(self.accepts),
        }

    def as_lines(self) -> list[str]:
        """The template as lines of text, for showing what differs."""
        lines: list[str] = []
        for role, content in self.messages:
            lines += [f"[{role}]", *content.splitlines(), ""]
        for name, variable in sorted(self.variables.items()):
            needed = "required" if variable.required else f"otherwise {variable.default!r}"
            lines.append(
                f"{{{{{name}}}}}: {variable.type}, at most {variable.max_length} characters, {needed}"
            )
        lines.append(f"accepts: {', '.join(sorted(self.accepts)) or 'variables only'}")
        return lines

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """From the stored form, or as somebody wrote it; InvalidPrompt says what is wrong."""
        if not isinstance(stored, Mapping) or set(stored) - {"messages", "variables", "accepts"}:
            raise InvalidPrompt("it has `messages`, and may have `variables` and `accepts`")
        messages = _messages(stored.get("messages"))
        variables = _variables(stored.get("variables", {}))
        accepts = stored.get("accepts", [])
        if not isinstance(accepts, list) or not set(map(str, accepts)) <= set(ACCEPTS):
            raise InvalidPrompt(f"`accepts` is a list of {', '.join(ACCEPTS)}")
        used = {found for _, content in messages for found in _VARIABLE.findall(content)}
        if used - set(variables):
            raise InvalidPrompt(
                f"{', '.join(sorted(used - set(variables)))} is used and not described in `variables`"
            )
        if set(variables) - used:
            raise InvalidPrompt(f"{', '.join(sorted(set(variables) - used))} is described and not used")
        left = [content for _, content in messages if "{{" in _VARIABLE.sub("", content)]
        if left:
            raise InvalidPrompt("a `{{` that is no variable's is a mistake: variables are `{{name}}`")
        if "messages" not in accepts and all(role == "system" for role, _ in messages):
            raise InvalidPrompt("without the caller's messages it needs one of its own that is not `system`")
        return cls(messages, variables, frozenset(accepts))


def _is_text(value: str) -> bool:
    """Whether it can be stored and sent: no NUL, and no half of a character."""
    return "\x00" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _messages(stored: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(stored, list) or not 1 <= len(stored) <= _MOST_MESSAGES:
        raise InvalidPrompt(f"`messages` is a list of 1 to {_MOST_MESSAGES} messages")
    found: list[tuple[str, str]] = []
    for each in stored:
        if not isinstance(each, Mapping) or set(each) != {"role", "content"}:
            raise InvalidPrompt("a message has `role` and `content`")
        role, content = each["role"], each["content"]
        if role not in ROLES or not isinstance(content, str) or not content.strip():
            raise InvalidPrompt(
                f"a role is one of {', '.join(ROLES)}, and a content is a text that is not empty"
            )
        if role == "system" and any(before != "system" for before, _ in found):
            raise InvalidPrompt("`system` messages come first")
        found.append((role, content))
    if sum(len(content) for _, content in found) > _LONGEST or not all(
        _is_text(content) for _, content in found
    ):
        raise InvalidPrompt(f"it is longer than {_LONGEST} characters, or holds what is no text")
    return tuple(found)


def _variables(stored: Any) -> dict[str, Variable]:
    if not isinstance(stored, Mapping) or len(stored) > _MOST_VARIABLES:
        raise InvalidPrompt(f"`variables` is an object of at most {_MOST_VARIABLES}")
    found: dict[str, Variable] = {}
    for name, given in stored.items():
        if not _NAME.match(str(name)):
            raise InvalidPrompt(f"{str(name)[:40]!r} is no name for a variable")
        if not isinstance(given, Mapping) or set(given) - {"type", "max_length", "required", "default"}:
            raise InvalidPrompt(f"{name} has `type`, `max_length`, `required` and `default`")
        kind, longest = given.get("type", "string"), given.get("max_length", DEFAULT_LENGTH)
        required = given.get("required", "default" not in given)
        if kind not in TYPES or type(longest) is not int or not 1 <= longest <= LONGEST_VALUE:
            raise InvalidPrompt(
                f"{name} has a type of {', '.join(TYPES)}, and a length from 1 to {LONGEST_VALUE}"
            )
        if type(required) is not bool:
            raise InvalidPrompt(f"{name} is required or not: true or false")
        variable = Variable(kind, longest, required, given.get("default"))
        if variable.default is not None and (problem := variable.problem(variable.default)):
            raise InvalidPrompt(f"{name}'s default {problem}")
        found[str(name)] = variable
    return found
