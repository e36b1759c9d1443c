"""The hash chain of a tenant's audit log: writing an entry, and finding what was tampered with."""

import hashlib
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from apps.governance import audit_tail
from apps.governance.audit_actions import checked_action
from apps.governance.audit_secrets import clean_text, without_secrets
from apps.governance.models import AuditEntry, OperatorAuditEntry
from apps.governance.types import Actor, ActorKind
from apps.governance.webhooks.from_audit import actor_of, tell
from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant

_START = bytes(32)


def record_audit(
    action: str,
    *,
    actor: Actor,
    target_kind: str = "",
    target_id: object = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Append to the log of the tenant in force, in the caller's transaction: no change without its entry.

    `action` is one of `audit_actions.ACTIONS`; `details` say what was before and after, and hold no secret.
    """
    append(action, actor=actor, target_kind=target_kind, target_id=target_id, details=details)
    if actor.kind is ActorKind.OPERATOR:
        _record_for_operators(action, actor, target_kind, target_id, details)


def append(
    action: str,
    *,
    actor: Actor,
    target_kind: str = "",
    target_id: object = "",
    details: dict[str, Any] | None = None,
) -> None:
    """The tenant's half of `record_audit`, for what the operators' log has already in words of its own."""
    kept = _kept(details)
    with transaction.atomic():
        tenancy.lock_tenant("audit")
        last = AuditEntry.objects.order_by("-sequence").only("sequence", "hash").first()
        entry = AuditEntry(
            sequence=last.sequence + 1 if last else 1,
            at=timezone.now(),
            action=checked_action(action),
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            actor_name=_clean(actor.name),
            target_kind=target_kind,
            target_id=_clean(str(target_id))[:64],
            details=kept,
            request_id=_clean(actor.request_id)[:64],
            address=actor.address[:45],
            previous_hash=bytes(last.hash) if last else _START,
        )
        entry.hash = entry_hash(entry)
        entry.save(force_insert=True)
        tell(entry)
        tenant_id, sequence = current_tenant().id, entry.sequence
        transaction.on_commit(lambda: audit_tail.remember(tenant_id, sequence))


def record_operator_audit(
    action: str,
    *,
    actor: Actor,
    target_kind: str = "",
    target_id: object = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Append to the operators' own log: what concerns no single tenant. Control plane only."""
    OperatorAuditEntry.objects.create(
        action=action,
        actor_id=actor.id,
        actor_name=_clean(actor.name),
        target_kind=target_kind,
        target_id=str(target_id),
        details=_kept(details),
    )


def _record_for_operators(
    action: str, actor: Actor, target_kind: str, target_id: object, details: dict[str, Any] | None
) -> None:
    OperatorAuditEntry.objects.create(
        action=action,
        actor_id=actor.id,
        actor_name=_clean(actor.name),
        tenant_id=current_tenant().id,
        target_kind=target_kind,
        target_id=str(target_id),
        details=_kept(details),
    )


def entry_hash(entry: AuditEntry) -> bytes:
    """SHA-256 over the entry's content in canonical JSON and the hash of the entry before it."""
    content = {
        "sequence": entry.sequence,
        "id": str(entry.id),
        "at": _stamp(entry.at),
        "action": entry.action,
        "actor": [entry.actor_kind, entry.actor_id, entry.actor_name],
        "target": [entry.target_kind, entry.target_id],
        "details": entry.details,
        "request_id": entry.request_id,
        "address": entry.address,
    }
    body = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(bytes(entry.previous_hash) + body).digest()


def as_event(entry: AuditEntry) -> dict[str, Any]:
    """An entry as it is delivered and exported: all that its hash covers, and the hashes."""
    return {
        "sequence": entry.sequence,
        "id": str(entry.id),
        "at": _stamp(entry.at),
        "action": entry.action,
        "actor": actor_of(entry),
        "target": {"kind": entry.target_kind, "id": entry.target_id},
        "details": entry.details,
        "request_id": entry.request_id,
        "address": entry.address,
        "previous_hash": bytes(entry.previous_hash).hex(),
        "hash": bytes(entry.hash).hex(),
    }


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _clean(text: str) -> str:
    return clean_text(text)[:200]


def _kept(details: dict[str, Any] | None) -> dict[str, Any]:
    """Details as they are stored: plain JSON without secrets."""
    kept: dict[str, Any] = without_secrets(orjson.loads(orjson.dumps(details or {}, default=str)))
    return kept
