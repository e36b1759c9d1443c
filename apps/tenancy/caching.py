"""Cache keys that carry the tenant in force."""

from apps.tenancy import context


def key_in_context(key: str, key_prefix: str, version: int) -> str:
    """Django's cache KEY_FUNCTION: the scope's schema is part of every key, and no scope is an error."""
    return f"c:{context.scope().schema}:{key_prefix}:{version}:{key}"
