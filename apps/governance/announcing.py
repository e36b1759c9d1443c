"""Telling every process that what it holds of a tenant is out of date."""

import logging

from django.conf import settings
from django.db import transaction

from apps.governance.admission.sync import ChangeAnnouncer, ValkeyUnavailable
from apps.tenancy.selectors import current_tenant
from apps.tenancy.types import TenantRef

log = logging.getLogger(__name__)


def announce_change(tenant: TenantRef | None = None) -> None:
    """Inside the transaction of a change: nothing a process remembers of the tenant is used after the commit.

    A marker is set in Valkey before the commit and replaced by a new epoch after it. While it stands, processes
    read the database for each request; so a crash between commit and announcement leaves no stale answer behind.
    """
    changed = tenant or current_tenant()
    announcer = ChangeAnnouncer(settings.VALKEY_URL)
    try:
        announcer.begin(changed.id)
    except ValkeyUnavailable:
        # No process can ask for admission now either; whoever starts again starts from the database.
        log.warning("change of tenant %s not announced before commit: Valkey is away", changed.slug)
    transaction.on_commit(lambda: _end(announcer, changed))


def _end(announcer: ChangeAnnouncer, tenant: TenantRef) -> None:
    try:
        announcer.end(tenant.id)
    except ValkeyUnavailable:
        log.warning("change of tenant %s not announced after commit: Valkey is away", tenant.slug)
