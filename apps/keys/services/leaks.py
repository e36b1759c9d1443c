"""A secret was found where it should not be."""

import logging

from django.db import transaction
from django.utils import timezone

from apps.governance.types import Actor
from apps.jobs.services import enqueue
from apps.keys import selectors, tokens
from apps.keys.models import ApiKey
from apps.keys.services.change import note
from apps.keys.services.revoke import revoke_row
from apps.tenancy.selectors import tenant_by_ref
from apps.tenancy.services import in_tenant

log = logging.getLogger(__name__)


def report_leak(secret: str, *, actor: Actor, where: str = "") -> None:
    """Act on a reported secret: revoke it where the tenant's policy says so, tell its people, write it down.

    Returns nothing whether the secret is a real key, an ended one, or no key at all, so that a report cannot
    be used to find out. Runs in no tenant's scope: the secret names the tenant. A key is reported once; after
    that a repetition changes nothing.
    """
    parsed = tokens.parse(secret.strip())
    tenant = tenant_by_ref(parsed.tenant_ref) if parsed else None
    if parsed is None or tenant is None or not tenant.is_served:
        return
    with in_tenant(tenant), transaction.atomic():
        rows = ApiKey.objects.select_for_update(of=("self",)).with_context()
        row = rows.filter(key_id=parsed.key_id).first()
        if row is None or not tokens.matches(parsed, digest=bytes(row.digest), pepper_id=row.pepper_id):
            return
        if row.leaked_at is not None or row.revoked_at is not None:
            return
        row.leaked_at = timezone.now()
        row.save(update_fields=["leaked_at"])
        note("key.leak_reported", row, actor, where=where[:300])
        if selectors.key_policy().revoke_on_leak:
            revoke_row(row, actor=actor, reason="Its secret was found in public.", now=row.leaked_at)
        enqueue("keys.tell_of_leak", tenant_id=tenant.id, payload={"key_id": str(row.pk)})
    log.warning("key %s was reported as leaked", row.key_id)
