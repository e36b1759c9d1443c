"""What is done once a day for each tenant's log and events."""

import logging
from datetime import UTC, timedelta

from django.utils import timezone

from apps.governance import audit_keys, metrics
from apps.governance.audit_heads import sign_head
from apps.governance.audit_keeping import remove_expired_audit
from apps.governance.errors import AuditChainBroken
from apps.governance.models import AuditHead
from apps.governance.webhooks.managing import forget_events
from apps.jobs.services import enqueue
from apps.tenancy.selectors import all_tenants, current_tenant

log = logging.getLogger(__name__)

EVENTS_KEPT = timedelta(days=30)


def look_after() -> None:
    """Sign the day's head, remove what is kept no longer, forget old events. A second time the same day: nothing."""
    now = timezone.now()
    today = now.astimezone(UTC).date()
    if audit_keys.can_sign():
        try:
            if not AuditHead.objects.filter(tenant_id=current_tenant().id, kind="head", day=today).exists():
                sign_head(now=now)
                metrics.AUDIT_HEADS.inc()
            remove_expired_audit(now=now)
        except AuditChainBroken as broken:
            metrics.AUDIT_BROKEN.inc()
            log.critical("audit log of %s was tampered with: %s", current_tenant().slug, broken)
            raise
    forget_events(before=now - EVENTS_KEPT)


def ask_for_all() -> None:
    """A ticket for each tenant whose log has no head of today."""
    today = timezone.now().astimezone(UTC).date()
    signed = set(AuditHead.objects.filter(kind="head", day=today).values_list("tenant_id", flat=True))
    for tenant in all_tenants():
        if tenant.id not in signed:
            enqueue(
                "governance.look_after",
                tenant_id=tenant.id,
                queue="billing",
                dedupe_key=f"audit:{tenant.ref}",
                max_attempts=3,
            )
