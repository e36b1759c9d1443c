"""Registers the app."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "apps.identity"
    label = "identity"

    def ready(self) -> None:
        # allauth's forms make our token generator (apps.identity.tokens), whose base is in these forms:
        # whoever imported that module first would find the circle half open.
        from allauth.account import forms  # noqa: F401
