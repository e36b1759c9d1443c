"""The fields of a page's filter bar."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from apps.ai_usage.insight.offered import offered_models
from apps.keys.selectors import key_names, keys, owner_names

_MOST_KEYS = 100


def uuid_of(text: str) -> UUID | None:
    """An id in an address; None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def select(name: str, label: str, value: str, options: Iterable[dict[str, str]]) -> dict[str, Any]:
    """A choice of one."""
    return {"kind": "select", "name": name, "label": label, "value": value, "options": list(options)}


def model_filter(value: str) -> dict[str, Any]:
    """Which model: those the tenant may use, and the one in force whatever it is."""
    names = {each.model for each in offered_models()} | ({value} if value else set())
    return select("model", "Model", value, _any("All models", ((name, name) for name in sorted(names))))


def key_filter(value: UUID | None) -> dict[str, Any]:
    """Which key: the newest, and the one in force."""
    named = {key.id: key.name for key in keys(limit=_MOST_KEYS)}
    if value and value not in named:
        named = {value: key_names([value]).get(value, "Deleted key")} | named
    found = ((str(key_id), name) for key_id, name in named.items())
    return select("key", "Key", str(value or ""), _any("All keys", found))


def owner_filter(value: UUID | None) -> list[dict[str, Any]]:
    """Whose usage, shown only while it is narrowed to one owner."""
    if value is None:
        return []
    name = owner_names([value]).get(value, "Deleted owner")
    return [select("owner", "Owner", str(value), _any("All owners", [(str(value), name)]))]


def _any(label: str, found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"value": "", "label": label}, *({"value": value, "label": name} for value, name in found)]
