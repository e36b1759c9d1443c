"""Nobody reaches a view by forgetting: each declares who may enter."""

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from apps.identity.access import ACCESS
from apps.keys.rest.views import TenantAPIView

# Open to everybody on purpose, with the reason.
OPEN = {
    "health-live": "the orchestrator asks it and knows no key",
    "health-ready": "the orchestrator asks it and knows no key",
    "metrics": "served on hosts that belong to no tenant; the network decides who reaches them",
    "welcome": "says where to go",
    "api-schema": "the description of the API is public",
    "api-docs": "the description of the API is public",
    "api-leaks": "whoever finds a key may report it, without having one",
    "api-leaks-partner": "its signature is the proof",
    "stripe-webhook": "its signature is the proof",
}
METHODS = ("get", "post", "put", "patch", "delete")


def _patterns(resolver, prefix=""):
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            # The operator site asks for a signed-in operator on each of its pages, in one place.
            if entry.app_name != "admin":
                yield from _patterns(entry, f"{prefix}{entry.pattern}")
        elif isinstance(entry, URLPattern):
            yield f"/{prefix}{entry.pattern}", entry


ROUTES = [
    pytest.param(pattern, id=f"{urlconf}:{route}")
    for urlconf in ("public", "tenant", "operator")
    for route, pattern in _patterns(get_resolver(f"config.urls.{urlconf}"))
]


@pytest.mark.parametrize("pattern", ROUTES)
def test_a_view_says_who_may_enter(pattern):
    view = pattern.callback
    view_class = getattr(view, "cls", None) or getattr(view, "view_class", None)

    if pattern.name in OPEN:
        return
    if view_class is not None and issubclass(view_class, TenantAPIView):
        answered = {method.upper() for method in METHODS if hasattr(view_class, method)}
        assert answered == set(view_class.scopes)
        return
    access = getattr(view, ACCESS, None)
    assert access, f"{pattern.name} has neither scopes nor a guard, and is not among the open ones"


def test_the_open_views_exist():
    """A view that is gone must not leave its permission behind for another of its name."""
    names = {param.values[0].name for param in ROUTES}

    assert set(OPEN) <= names


def test_the_operator_site_lets_nobody_in_unasked(db, client, settings):
    settings.LOCKSTEP_PLANE = "control"

    answer = client.get("/", headers={"host": "operator.localhost"})

    assert answer.status_code == 302
    assert "/login/" in answer.headers["Location"]
