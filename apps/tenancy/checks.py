"""What must be true of the settings before the system starts."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register


@register()
def cookies_stay_on_their_host(**_: Any) -> list[Error]:
    """A cookie with a Domain would be sent to every tenant's host."""
    return [
        Error(f"{name} must be None: sessions belong to one tenant's host.", id=f"tenancy.E00{number}")
        for number, name in enumerate(("SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_DOMAIN"), start=1)
        if getattr(settings, name)
    ]


@register()
def cache_keys_carry_the_tenant(**_: Any) -> list[Error]:
    """Without our key function, two tenants would share rate limits and cached values."""
    return [
        Error(f"Cache {alias} must use apps.tenancy.caching.key_in_context.", id="tenancy.E003")
        for alias, cache in settings.CACHES.items()
        if cache.get("KEY_FUNCTION") != "apps.tenancy.caching.key_in_context"
    ]
