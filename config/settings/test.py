"""Tests: embedded services started by tests/conftest.py; fast password hashing; mail kept in memory."""

from config.settings.base import *  # noqa: F403

EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
