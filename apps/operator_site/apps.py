"""Puts our site where Django's admin and the packages' admin modules look for one."""

from django.apps import AppConfig


class OperatorSiteConfig(AppConfig):
    name = "apps.operator_site"
    label = "operator_site"

    def ready(self) -> None:
        """Runs after unfold, which puts its own site there, and before admin, which fills it."""
        from django.contrib import admin
        from django.contrib.admin import sites

        from apps.operator_site.site import site

        admin.site = site
        sites.site = site
