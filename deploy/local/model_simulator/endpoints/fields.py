"""Reading request bodies: the checks both dialects make, with the words each provider uses."""

from typing import Any

from deploy.local.model_simulator.dialects import Refusal

UNKNOWN_MODEL = "no-such-model"


def openai_model(body: dict[str, Any]) -> str:
    """Return the requested model, or refuse as OpenAI does."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "you must provide a model parameter")
    if model.startswith(UNKNOWN_MODEL):
        raise Refusal(
            404,
            f"The model `{model}` does not exist or you do not have access to it.",
            code="model_not_found",
        )
    return model


def openai_integer(body: dict[str, Any], name: str, *, lowest: int, highest: int | None = None) -> int | None:
    """Return an optional integer of the body, or refuse as OpenAI does."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_type(name, "an integer", value)
    if value < lowest:
        raise Refusal(
            400,
            f"Invalid '{name}': integer below minimum value. "
            f"Expected a value >= {lowest}, but got {value} instead.",
            code="integer_below_min_value",
            param=name,
        )
    if highest is not None and value > highest:
        raise Refusal(
            400,
            f"Invalid '{name}': integer above maximum value. "
            f"Expected a value <= {highest}, but got {value} instead.",
            code="integer_above_max_value",
            param=name,
        )
    return value


def missing(name: str) -> Refusal:
    """Say that OpenAI requires a parameter."""
    return Refusal(
        400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
    )


def invalid_type(name: str, expected: str, value: object) -> Refusal:
    """Say that a parameter has a type OpenAI does not take."""
    found = {str: "a string", bool: "a boolean", int: "an integer", float: "a decimal", list: "an array"}.get(
        type(value), "null" if value is None else "an object"
    )
    return Refusal(
        400,
        f"Invalid type for '{name}': expected {expected}, but got {found} instead.",
        code="invalid_type",
        param=name,
    )


def invalid_value(name: str, value: object, supported: list[str]) -> Refusal:
    """Say that OpenAI knows a parameter but not this value."""
    words = ", ".join(f"'{one}'" for one in supported)
    return Refusal(
        400, f"Invalid value: '{value}'. Supported values are: {words}.", code="invalid_value", param=name
    )


def openai_user(body: dict[str, Any]) -> str | None:
    """Return the end user the client named, by the new field or the old."""
    user = body.get("safety_identifier") or body.get("user")
    return user if isinstance(user, str) else None


def reasoning_for(effort: object) -> int:
    """Return how many tokens the model thinks for an effort."""
    return {"low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 128}.get(str(effort), 0)


def obfuscation(length: int) -> str:
    """Return the padding OpenAI adds so that the size of a chunk tells nothing about its text."""
    return "aVq8Zk2LwXr5TnYb0"[: 16 - length % 16]
