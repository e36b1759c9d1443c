"""The events that are told by an audit entry: who writes the entry has told the tenant's endpoints as well."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.governance.models import AuditEntry, WebhookEndpoint
from apps.governance.webhooks.events import EventType, wants
from apps.governance.webhooks.outbox import ask_for_delivery, emit

Payload = Callable[[AuditEntry], dict[str, Any]]


def tell(entry: AuditEntry) -> None:
    """In the entry's transaction: its event, and the entry itself to endpoints that follow the log."""
    endpoints = list(WebhookEndpoint.objects.filter(disabled_because="").values_list("events", "audit_after"))
    if not endpoints:
        return
    found = _OF_ACTION.get(entry.action)
    if found is not None and any(wants(events, found[0]) for events, _ in endpoints):
        event, payload = found
        emit(event, payload(entry) | {"actor": actor_of(entry)})
    elif any(after is not None for _, after in endpoints):
        ask_for_delivery()


def actor_of(entry: AuditEntry) -> dict[str, str]:
    """Who acted."""
    return {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor_name}


def _key(*names: str) -> Payload:
    def payload(entry: AuditEntry) -> dict[str, Any]:
        return {"id": entry.target_id} | _picked(entry.details, ("name", "key_id", *names))

    return payload


def _invoice(entry: AuditEntry) -> dict[str, Any]:
    return {"id": entry.target_id} | _picked(entry.details, ("number", "currency", "total_minor"))


def _member(entry: AuditEntry) -> dict[str, Any]:
    details = entry.details
    found = {
        "id": entry.target_id,
        "email": details.get("email"),
        "role": details.get("role", details.get("after")),
    }
    return found | ({"before": details.get("before")} if entry.action == "member.role_changed" else {})


def _reason(entry: AuditEntry) -> dict[str, Any]:
    return {"reason": entry.details.get("reason", "")}


def _subscription(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.target_id,
        "change": entry.action.removeprefix("subscription."),
        "details": entry.details,
    }


def _policy(entry: AuditEntry) -> dict[str, Any]:
    details = entry.details
    level = details.get("level")
    return {
        "id": entry.target_id,
        "kind": "policy_bounds" if level is None else f"policy.{level}",
        "change": details.get("mode", "set"),
        "before": details.get("before"),
        "after": details.get("after"),
    }


def _rules(entry: AuditEntry) -> dict[str, Any]:
    """Rules of which a tenant has one set, replaced whole."""
    details = entry.details
    return {
        "id": entry.target_id,
        "kind": entry.action.removesuffix(".changed"),
        "change": "set",
        "before": details.get("before"),
        "after": details.get("after"),
    }


def _picked(details: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: details.get(name) for name in names}


_OF_ACTION: dict[str, tuple[EventType, Payload]] = {
    "key.issued": (EventType.KEY_ISSUED, _key("environment", "scopes", "expires_at")),
    "key.child_issued": (EventType.KEY_ISSUED, _key("environment", "scopes", "expires_at")),
    "key.rotated_in": (EventType.KEY_ISSUED, _key("environment", "scopes", "expires_at")),
    "key.changed": (EventType.KEY_CHANGED, _key("changed")),
    "key.rotated": (EventType.KEY_ROTATED, _key("replaced_by", "works_until")),
    "key.disabled": (EventType.KEY_DISABLED, _key("reason")),
    "key.enabled": (EventType.KEY_ENABLED, _key()),
    "key.revoked": (EventType.KEY_REVOKED, _key("reason")),
    "key.expired": (EventType.KEY_EXPIRED, _key("expired_at")),
    "key.leak_reported": (EventType.KEY_LEAKED, _key("where")),
    "key.unused": (EventType.KEY_UNUSED, _key("idle_since")),
    "invoice.drafted": (EventType.INVOICE_DRAFTED, _invoice),
    "invoice.finalized": (EventType.INVOICE_FINALIZED, _invoice),
    "invoice.paid": (EventType.INVOICE_PAID, _invoice),
    "invoice.payment_failed": (EventType.INVOICE_PAYMENT_FAILED, _invoice),
    "invoice.uncollectible": (EventType.INVOICE_PAYMENT_FAILED, _invoice),
    "invoice.void": (EventType.INVOICE_VOIDED, _invoice),
    "member.created": (EventType.MEMBER_CREATED, _member),
    "member.role_changed": (EventType.MEMBER_ROLE_CHANGED, _member),
    "member.disabled": (EventType.MEMBER_DISABLED, _member),
    "member.enabled": (EventType.MEMBER_ENABLED, _member),
    "tenant.suspended": (EventType.TENANT_SUSPENDED, _reason),
    "tenant.resumed": (EventType.TENANT_RESUMED, _reason),
    "data_boundary.changed": (EventType.POLICY_CHANGED, _rules),
    "key_policy.changed": (EventType.POLICY_CHANGED, _rules),
    "policy.saved": (EventType.POLICY_CHANGED, _policy),
    "policy_bounds.set": (EventType.POLICY_CHANGED, _policy),
    "subscription.started": (EventType.SUBSCRIPTION_CHANGED, _subscription),
    "subscription.changed": (EventType.SUBSCRIPTION_CHANGED, _subscription),
    "subscription.state_changed": (EventType.SUBSCRIPTION_CHANGED, _subscription),
    "subscription.ended": (EventType.SUBSCRIPTION_CHANGED, _subscription),
}
