"""Which apps have tables in the schema in force."""

from typing import Any

from django.apps import apps
from django.conf import settings

from apps.tenancy import context


class SchemaRouter:
    """Shared apps migrate in `public`, tenant apps in a tenant's schema; read from the context variable.

    A model may narrow that: `schema = "public"` or `schema = "tenant"` on the model class says that its table
    exists in only one of them although its app has migrations in both.
    """

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        in_public = context.scope().schema == "public"
        listed = settings.SHARED_APPS if in_public else settings.TENANT_APPS
        if apps.get_app_config(app_label).name not in listed:
            return False
        place = hints.get("schema")
        if place is None and model_name is not None:
            try:
                place = getattr(apps.get_model(app_label, model_name), "schema", None)
            except LookupError:
                place = None
        if place is None:
            return None
        return (place == "public") == in_public
