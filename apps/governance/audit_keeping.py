"""How long entries are kept, and what keeps them longer."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from apps.governance.audit import append, record_audit
from apps.governance.audit_heads import Head, heads_of_tenant, sign_head, write_head
from apps.governance.audit_reading import audit_holds
from apps.governance.errors import InvalidHold
from apps.governance.models import AuditEntry, OperatorHold, TenantHold, WebhookEndpoint
from apps.governance.selectors import limit
from apps.governance.types import Actor
from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant

_AT_ONCE = 20_000


@transaction.atomic
def set_audit_hold(*, reason: str, actor: Actor) -> None:
    """Keep every entry from now on: an operator's hold where an operator acts, the tenant's otherwise."""
    if not reason.strip() or len(reason) > 300:
        raise InvalidHold("Say in at most 300 characters why the log is held.")
    tenancy.lock_tenant("audit hold")
    if _standing(actor).exists():
        raise InvalidHold("The log is held already.")
    if actor.is_platform:
        OperatorHold.objects.create(tenant_id=current_tenant().id, reason=reason, set_by=actor.name[:200])
    else:
        TenantHold.objects.create(reason=reason, set_by=actor.name[:200])
    record_audit("audit.hold_set", actor=actor, target_kind="audit", details={"reason": reason})


@transaction.atomic
def lift_audit_hold(*, actor: Actor, reason: str = "") -> None:
    """End the hold that whoever acts may end: a tenant its own, an operator the operators'."""
    tenancy.lock_tenant("audit hold")
    ended = _standing(actor).update(lifted_at=timezone.now(), lifted_by=actor.name[:200])
    if not ended:
        whose = "an operator" if not actor.is_platform else "the tenant"
        others = audit_holds()
        raise InvalidHold(
            f"This hold was set by {whose}, who alone can lift it." if others else "The log is not held."
        )
    record_audit("audit.hold_lifted", actor=actor, target_kind="audit", details={"reason": reason})


def remove_expired_audit(*, now: datetime) -> int:
    """Remove what is older than the plan keeps; how many entries. Control plane.

    An anchor is signed over the last entry removed, so the rest can still be checked from there. Nothing is removed
    under a hold, nor what an enabled endpoint has yet to be told, nor what no head has signed.
    """
    days = limit("audit_days")
    if days is None:
        return 0
    with transaction.atomic():
        tenancy.lock_tenant("audit hold")
        tenancy.lock_tenant("audit")
        through = None if audit_holds() else _removable(now - timedelta(days=max(days, 1)))
        if through is None:
            return 0
        heads = heads_of_tenant()
        if not _covered(heads, through.sequence):
            heads = [*heads, sign_head(now=now)]
        anchor = write_head("anchor", through.sequence, bytes(through.hash), before=heads[-1], now=now)
        gone = AuditEntry.objects.filter(sequence__lte=through.sequence)
        many, first = gone.count(), gone.order_by("sequence").values_list("sequence", flat=True).first()
        gone._raw_delete(gone.db)  # no cascade to look for: nothing refers to an entry
        append(
            "audit.removed",
            actor=Actor.system("Retention"),
            target_kind="audit",
            target_id=anchor.number,
            details={"from": first, "through": through.sequence, "entries": many, "kept_days": days},
        )
    return many


def _removable(before: datetime) -> AuditEntry | None:
    """The last entry of the oldest stretch that may go, at most so many at once; the newest entry never goes."""
    kept = (
        AuditEntry.objects.filter(at__gte=before)
        .order_by("sequence")
        .values_list("sequence", flat=True)
        .first()
    )
    last = AuditEntry.objects.order_by("-sequence").values_list("sequence", flat=True).first()
    first = AuditEntry.objects.order_by("sequence").values_list("sequence", flat=True).first()
    if first is None or last is None:
        return None
    bounds = [last - 1, first + _AT_ONCE - 1]
    if kept is not None:
        bounds.append(kept - 1)
    followed = WebhookEndpoint.objects.filter(disabled_because="", audit_after__isnull=False)
    bounds += [after for after in followed.values_list("audit_after", flat=True) if after is not None]
    through = min(bounds)
    return AuditEntry.objects.filter(sequence=through).first() if through >= first else None


def _covered(heads: list[Head], sequence: int) -> bool:
    return any(head.kind == "head" and head.sequence >= sequence for head in heads)


def _standing(actor: Actor):  # type: ignore[no-untyped-def]  # of one of two models with the same columns
    if actor.is_platform:
        return OperatorHold.objects.filter(tenant_id=current_tenant().id, lifted_at=None)
    return TenantHold.objects.filter(lifted_at=None)
