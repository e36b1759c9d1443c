"""Tickets of two tenants in one pool of worker threads: each runs as its own tenant, also after failures."""

import threading
from collections import Counter
from uuid import uuid4

import pytest
from celery import current_app, shared_task
from django.db import connection

from apps.jobs import services as jobs
from apps.jobs.models import WorkTicket
from apps.tenancy import tasks
from apps.tenancy.selectors import current_tenant
from apps.tenancy.services import in_public

SEEN: Counter = Counter()
LOCK = threading.Lock()


@shared_task(name="tests.who_am_i")
def who_am_i(*, expected: str, fails: bool) -> None:
    """Notes whose schema PostgreSQL sees, then fails in a broken transaction or not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = cursor.fetchone()[0]
    with LOCK:
        SEEN[(expected, current_tenant().slug, schema)] += 1
    if fails:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")


@pytest.mark.parametrize("threads", [1, 6])
def test_each_ticket_runs_as_its_own_tenant_whatever_ran_before_it(committed, acme, globex, threads):
    SEEN.clear()
    assert "tests.who_am_i" in current_app.tasks
    batch = uuid4()
    with in_public():
        ids = [
            jobs.enqueue(
                "tests.who_am_i",
                tenant_id=tenant.id,
                queue="bulk",
                payload={"expected": tenant.slug, "fails": number % 5 == 0},
                max_attempts=1,
                dedupe_key=f"{batch}:{tenant.slug}:{number}",
            )
            for number in range(15)
            for tenant in (acme, globex)
        ]

    pool = [threading.Thread(target=tasks.work, args=("bulk",)) for _ in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()

    assert {
        ("acme", "acme", acme.schema): 15,
        ("globex", "globex", globex.schema): 15,
    } == SEEN
    with in_public():
        states = Counter(WorkTicket.objects.filter(pk__in=ids).values_list("state", flat=True))
    assert states == {"done": 24, "dead": 6}
