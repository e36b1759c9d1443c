"""`GET /v1/models` in both dialects."""

from typing import Any, Final

from deploy.local.model_simulator.dialects import ANTHROPIC, Refusal
from deploy.local.model_simulator.endpoints.fields import UNKNOWN_MODEL

_CREATED: Final = 1_767_225_600
_CREATED_AT: Final = "2026-01-01T00:00:00Z"
_OPENAI: Final = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "gpt-5.6", "o3", "o4-mini",
    "text-embedding-3-small", "text-embedding-3-large",
)  # fmt: skip
_ANTHROPIC: Final = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")


def listed(dialect: str) -> dict[str, Any]:
    """Return the models of a dialect. Any other name is answered too, except `no-such-model…`."""
    if dialect == ANTHROPIC:
        data = [described(dialect, name) for name in _ANTHROPIC]
        return {"data": data, "has_more": False, "first_id": _ANTHROPIC[0], "last_id": _ANTHROPIC[-1]}
    return {"object": "list", "data": [described(dialect, name) for name in _OPENAI]}


def described(dialect: str, name: str) -> dict[str, Any]:
    """Return one model, or refuse the one that does not exist."""
    if dialect == ANTHROPIC:
        if name.startswith(UNKNOWN_MODEL):
            raise Refusal(404, f"model: {name}")
        return {
            "type": "model",
            "id": name,
            "display_name": name.replace("-", " ").title(),
            "created_at": _CREATED_AT,
            "lifecycle": "active",
        }
    if name.startswith(UNKNOWN_MODEL):
        raise Refusal(
            404,
            f"The model '{name}' does not exist or you do not have access to it.",
            code="model_not_found",
            param="model",
        )
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "lockstep-simulator"}
