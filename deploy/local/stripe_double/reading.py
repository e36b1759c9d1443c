"""Values from a form, which has only strings."""

from typing import Any

from deploy.local.stripe_double.errors import invalid


def whole(asked: dict[str, Any], name: str, default: int | None = None) -> int | None:
    """A whole number: Stripe takes no decimals for amounts and times."""
    value = asked.get(name)
    if value in (None, ""):
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name) from None


def yes(asked: dict[str, Any], name: str, default: bool) -> bool:
    """true or false."""
    value = asked.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def text(asked: dict[str, Any], name: str) -> str | None:
    """Text, or nothing."""
    return asked.get(name) or None


def required(asked: dict[str, Any], name: str) -> str:
    """Text that must be there."""
    value = asked.get(name)
    if not value or not isinstance(value, str):
        raise invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return value


def metadata(asked: dict[str, Any], before: dict[str, str] | None = None) -> dict[str, str]:
    """Metadata merged with what was there; an empty value takes a name away."""
    given = asked.get("metadata") or {}
    if not isinstance(given, dict):
        raise invalid("Invalid hash: metadata", param="metadata")
    merged = {**(before or {}), **given}
    if len(merged) > 50:
        raise invalid("Metadata has at most 50 keys", param="metadata")
    for name, value in merged.items():
        if len(name) > 40 or len(str(value)) > 500:
            raise invalid("Metadata keys have at most 40 characters, values 500", param="metadata")
    return {name: value for name, value in merged.items() if value != ""}
