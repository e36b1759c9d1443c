"""A change whose writer does not reach Valkey is announced by whoever does."""

from typing import Any

import redis
from django.db import transaction

from apps.governance.services import announce_change
from apps.jobs.models import WorkTicket
from apps.tenancy.services import in_public, in_tenant
from apps.tenancy.tasks import work
from config.celery import app

app.autodiscover_tasks(force=True)


def _promised(tenant: Any) -> list[str]:
    with in_public():
        return list(
            WorkTicket.objects.filter(kind="governance.announce", tenant_id=tenant.id).values_list(
                "state", flat=True
            )
        )


def _epoch(tenant: Any, url: str) -> int:

    return int(redis.Redis.from_url(url).get(f"lockstep:{{{tenant.id.hex}}}:epoch") or 0)


def test_a_change_that_valkey_did_not_hear_of_is_announced_by_a_worker(
    fresh_tenant: Any, settings: Any
) -> None:

    tenant, url = fresh_tenant(), settings.VALKEY_URL
    with in_tenant(tenant), transaction.atomic():
        announce_change()
    before = _epoch(tenant, url)
    assert _promised(tenant) == []

    settings.VALKEY_URL = "redis://127.0.0.1:1/0"
    with in_tenant(tenant), transaction.atomic():
        announce_change()
    assert _promised(tenant) == ["ready"]
    assert _epoch(tenant, url) == before

    settings.VALKEY_URL = url
    work.run("interactive")
    assert _promised(tenant) == ["done"]
    assert _epoch(tenant, url) > before
