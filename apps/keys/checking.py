"""What may be written on a key: names, tags, models, limits and how long it lives."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from apps.keys.errors import InvalidKeySettings, KeyLifetimeTooLong
from apps.keys.types import LIMIT_NAMES, KeyLimits, KeyPolicy

MOST_MODELS = 100
MOST_TAGS = 20
MOST_OVERLAP = timedelta(days=30)
_MOST_NUMBER = 2**31 - 1


def checked_name(text: str, *, what: str = "A name", longest: int = 80) -> str:
    """A name without surrounding space; never empty, too long, or with characters that cannot be shown."""
    name = text.strip()
    if not 1 <= len(name) <= longest or not name.isprintable():
        raise InvalidKeySettings(f"{what} has 1 to {longest} printable characters.")
    return name


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as text by text."""
    if len(tags) > MOST_TAGS:
        raise InvalidKeySettings(f"A key has at most {MOST_TAGS} tags.")
    return {
        checked_name(name, what="A tag's name", longest=40): checked_name(
            value, what="A tag's value", longest=120
        )
        for name, value in tags.items()
    }


def checked_models(models: Sequence[str]) -> list[str]:
    """Route names without repeats, in order. Whether the plan sells them is asked on each call."""
    if len(models) > MOST_MODELS:
        raise InvalidKeySettings(f"A key names at most {MOST_MODELS} models.")
    return sorted({checked_name(model, what="A model's name", longest=120) for model in models})


def checked_limits(limits: KeyLimits) -> KeyLimits:
    """Limits as whole numbers from 1 that the database can hold."""
    for name in LIMIT_NAMES:
        value = getattr(limits, name)
        if value is not None and not 1 <= value <= _MOST_NUMBER:
            raise InvalidKeySettings(f"{name} is a whole number from 1 to {_MOST_NUMBER}, or not set.")
    return limits


def checked_expiry(expires_at: datetime | None, *, policy: KeyPolicy, now: datetime) -> datetime:
    """When a new key ends: as asked or the tenant's default, in the future, within the tenant's maximum."""
    if expires_at is None:
        return now + timedelta(days=policy.default_days)
    if expires_at <= now:
        raise InvalidKeySettings("A key expires in the future.")
    if expires_at > now + timedelta(days=policy.maximum_days):
        raise KeyLifetimeTooLong(policy.maximum_days)
    return expires_at
