"""Telling every process that what it holds of a tenant is out of date."""

import logging
from functools import cache

from django.conf import settings
from django.db import transaction

from apps.governance.admission.blocking import BlockingAdmission
from apps.governance.admission.errors import GovernanceUnavailable
from apps.jobs.services import enqueue
from apps.tenancy.selectors import current_tenant
from apps.tenancy.types import TenantRef

log = logging.getLogger(__name__)


@cache
def admission(url: str) -> BlockingAdmission:
    """This process's engine for threads; one per Valkey."""
    return BlockingAdmission(url)


def announce_change(tenant: TenantRef | None = None) -> None:
    """Inside the transaction of a change: nothing a process remembers of the tenant is used after the commit.

    A mark is set in Valkey before the commit and replaced by a new epoch after it. While it stands, processes
    read the database for each request; so a crash between commit and announcement leaves no stale answer behind.
    """
    changed = tenant or current_tenant()
    try:
        mark = admission(settings.VALKEY_URL).announce_change_begin(changed.id)
    except GovernanceUnavailable:
        # Either nobody reaches Valkey: then each process reads the database for each request. Or this one alone
        # does not: then whoever works the ticket, which is committed with the change, announces it.
        log.warning("change of tenant %s not announced before commit: Valkey is away", changed.slug)
        enqueue("governance.announce", tenant_id=changed.id, queue="interactive", max_attempts=50)
        mark = ""
    transaction.on_commit(lambda: _end(changed, mark))


def announce_again(tenant: TenantRef) -> None:
    """Announce a change that is committed; GovernanceUnavailable where Valkey is not reached from here either."""
    admission(settings.VALKEY_URL).announce_change_end(tenant.id)


def _end(tenant: TenantRef, mark: str) -> None:
    try:
        admission(settings.VALKEY_URL).announce_change_end(tenant.id, mark)
    except GovernanceUnavailable:
        log.warning("change of tenant %s not announced after commit: Valkey is away", tenant.slug)
