"""Work is promised by name; a name that no task has would wait for ever."""

import ast
import re

from django.conf import settings

from apps.ai_usage.ledger.records import insert_statement
from config.celery import app
from tests.repository.source import called_name, name_of, nodes, text_of

app.autodiscover_tasks(force=True)
TASKS = {name for name in app.tasks if not name.startswith("celery.")}


def _promised() -> dict[str, str]:
    found = {}
    for path, node in nodes("apps"):
        if isinstance(node, ast.Call) and called_name(node) == "enqueue":
            kind = text_of(node.args[0]) if node.args else None
            assert kind, f"{name_of(path)}:{node.lineno} promises work by a name that only shows when it runs"
            found[kind] = f"{name_of(path)}:{node.lineno}"
    return found


def test_every_promised_task_exists():
    promised = _promised()

    assert len(promised) >= 8
    assert {kind: place for kind, place in promised.items() if kind not in TASKS} == {}


def test_the_ledger_promises_a_task_that_exists():
    promised = set(re.findall(r"'([a-z_]+\.[a-z_]+)'", insert_statement("t_x")))

    assert promised == {"billing.roll_up_tenant"}
    assert promised <= TASKS


def test_every_scheduled_task_exists_and_has_a_queue():
    assert {entry["kind"] for entry in settings.SCHEDULES} <= TASKS
    assert {entry["queue"] for entry in settings.SCHEDULES} <= set(settings.QUEUES)
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= TASKS


def test_no_task_is_there_for_nobody():
    rung = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} | {"jobs.work"}
    scheduled = {entry["kind"] for entry in settings.SCHEDULES}

    assert TASKS - rung - scheduled - set(_promised()) == {"billing.roll_up_tenant"}
