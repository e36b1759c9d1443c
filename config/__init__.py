"""Assembly: settings, URLs, servers and the worker application. No business rule lives here."""

from config.celery import app as celery

__all__ = ["celery"]
