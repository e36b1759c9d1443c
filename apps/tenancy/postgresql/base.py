"""A database wrapper that takes schema and tenant from the context variable, on each cursor, or refuses."""

from typing import Any

import psycopg
from django.db.utils import DatabaseError
from django_tenants.postgresql_backend import base as tenants_backend

from apps.tenancy import context
from apps.tenancy.types import Scope


class DatabaseWrapper(tenants_backend.DatabaseWrapper):
    """django-tenants' wrapper with one change: nobody sets its tenant, it asks the context for it.

    So `connection.set_tenant(…)`, which is unsafe across threads, has no effect on which data is reached.
    The setting `lockstep.tenant_id`, on which row-level security decides, travels with the search path.
    """

    _applied: Scope | None = None
    _setting_search_path: bool

    def _cursor(self, name: str | None = None) -> Any:
        wanted = context.scope()
        if wanted is not self._applied and wanted != self._applied:
            self._applied = wanted
            self.schema_name = wanted.schema
            self.tenant = wanted.tenant
            self.include_public_schema = wanted.sees_public
            self.search_path_set_schemas = None
        return super()._cursor(name)

    def _handle_search_path(self, cursor: Any = None) -> None:
        if self._setting_search_path or self.search_path_set_schemas:
            return
        scope = context.scope()
        paths = self._get_cursor_search_paths()
        tenant_id = str(scope.tenant.id) if scope.tenant else ""
        self._setting_search_path = True
        setter = self.connection.cursor() if cursor is None else cursor
        try:
            setter.execute(
                "SELECT set_config('search_path', %s, false), set_config('lockstep.tenant_id', %s, false)",
                (", ".join(f'"{path}"' for path in paths), tenant_id),
            )
        except (DatabaseError, psycopg.Error):
            # The transaction is already broken; the next statement says so itself, on the old path.
            self.search_path_set_schemas = None
            if not self.in_atomic_block:
                raise
        else:
            self.search_path_set_schemas = paths
        finally:
            self._setting_search_path = False
            if cursor is None:
                setter.close()
