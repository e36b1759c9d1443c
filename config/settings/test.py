"""Tests: embedded services started by tests/conftest.py; fast password hashing; mail kept in memory."""

from config import env
from config.settings.base import *  # noqa: F403
from config.settings.databases import DATABASES

EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A test signs in to PostgreSQL as the owner but begins as the tenant plane, so that each test runs under the
# role that has the fewest rights; `control_plane()` of tests/planes.py is the way to the other one.
if env.flag("TEST_BEGINS_AS_TENANT_PLANE", True):
    DATABASES["default"]["OPTIONS"] = {"options": "-c role=lockstep_tenant -c statement_timeout=30000"}
else:
    DATABASES["default"]["OPTIONS"] = {"options": "-c statement_timeout=30000"}
