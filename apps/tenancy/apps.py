"""Registers the app and its start-up checks."""

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "apps.tenancy"
    label = "tenancy"

    def ready(self) -> None:
        from apps.tenancy import checks  # noqa: F401  (registers the checks)
