"""`make check`: development with the linter that finds migrations which break or block a running system."""

from config.settings.development import *  # noqa: F403
from config.settings.development import INSTALLED_APPS as APPS

INSTALLED_APPS = [*APPS, "django_migration_linter"]
MIGRATION_LINTER_OPTIONS = {
    "include_apps": ["tenancy", "jobs", "governance", "identity", "keys", "ai_usage", "billing"],
    "no_cache": True,
}
