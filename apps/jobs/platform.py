"""Tasks of the apps below governance: the platform's own work, which no plan leaves out."""

from collections.abc import Callable
from typing import Any

from celery import shared_task


def platform_task(name: str, *, every_plan: str) -> Callable[[Callable[..., Any]], Any]:
    """A Celery task that belongs to every plan, and why; tests/repository/test_gates.py reads it."""
    options: dict[str, Any] = {"name": name, "every_plan": every_plan}
    return shared_task(**options)
