"""The events a tenant can subscribe to, and what the `data` of each holds. docs/webhooks.md says the same."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class EventType(StrEnum):
    """What an endpoint can be told of."""

    KEY_ISSUED = "key.issued"
    KEY_CHANGED = "key.changed"
    KEY_ROTATED = "key.rotated"
    KEY_DISABLED = "key.disabled"
    KEY_ENABLED = "key.enabled"
    KEY_REVOKED = "key.revoked"
    KEY_EXPIRED = "key.expired"
    KEY_LEAKED = "key.leaked"
    KEY_UNUSED = "key.unused"
    BUDGET_ALERT = "budget.alert"
    BUDGET_EXHAUSTED = "budget.exhausted"
    BUDGET_CHANGED = "budget.changed"
    POLICY_CHANGED = "policy.changed"
    INVOICE_DRAFTED = "invoice.drafted"
    INVOICE_FINALIZED = "invoice.finalized"
    INVOICE_PAID = "invoice.paid"
    INVOICE_PAYMENT_FAILED = "invoice.payment_failed"
    INVOICE_VOIDED = "invoice.voided"
    MEMBER_CREATED = "member.created"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_DISABLED = "member.disabled"
    MEMBER_ENABLED = "member.enabled"
    TENANT_SUSPENDED = "tenant.suspended"
    TENANT_RESUMED = "tenant.resumed"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    AUDIT_ENTRY = "audit.entry"
    AUDIT_HEAD = "audit.head"
    WEBHOOK_TEST = "webhook.test"


_KEY = ("id", "name", "key_id", "actor")
_INVOICE = ("id", "number", "currency", "total_minor", "actor")
_MEMBER = ("id", "email", "role", "actor")
_BUDGET = ("id", "level", "subject_id", "window", "unit", "amount", "hard")

# Members that `data` always has. `actor` is {kind, id, name}; more members may come with time.
FIELDS: Mapping[EventType, tuple[str, ...]] = {
    EventType.KEY_ISSUED: (*_KEY, "environment", "scopes", "expires_at"),
    EventType.KEY_CHANGED: (*_KEY, "changed"),
    EventType.KEY_ROTATED: (*_KEY, "replaced_by", "works_until"),
    EventType.KEY_DISABLED: (*_KEY, "reason"),
    EventType.KEY_ENABLED: _KEY,
    EventType.KEY_REVOKED: (*_KEY, "reason"),
    EventType.KEY_EXPIRED: (*_KEY, "expired_at"),
    EventType.KEY_LEAKED: (*_KEY, "where"),
    EventType.KEY_UNUSED: (*_KEY, "idle_since"),
    EventType.BUDGET_ALERT: (*_BUDGET, "spent", "percent", "resets_at"),
    EventType.BUDGET_EXHAUSTED: (*_BUDGET, "spent", "resets_at"),
    EventType.BUDGET_CHANGED: ("id", "change", "before", "after", "actor"),
    EventType.POLICY_CHANGED: ("id", "kind", "change", "before", "after", "actor"),
    EventType.INVOICE_DRAFTED: _INVOICE,
    EventType.INVOICE_FINALIZED: _INVOICE,
    EventType.INVOICE_PAID: _INVOICE,
    EventType.INVOICE_PAYMENT_FAILED: _INVOICE,
    EventType.INVOICE_VOIDED: _INVOICE,
    EventType.MEMBER_CREATED: _MEMBER,
    EventType.MEMBER_ROLE_CHANGED: (*_MEMBER, "before"),
    EventType.MEMBER_DISABLED: _MEMBER,
    EventType.MEMBER_ENABLED: _MEMBER,
    EventType.TENANT_SUSPENDED: ("reason", "actor"),
    EventType.TENANT_RESUMED: ("reason", "actor"),
    EventType.SUBSCRIPTION_CHANGED: ("id", "change", "details", "actor"),
    EventType.AUDIT_ENTRY: (
        "sequence", "id", "at", "action", "actor", "target", "details", "request_id", "address", "hash",
        "previous_hash",
    ),
    EventType.AUDIT_HEAD: (
        "tenant", "number", "day", "kind", "at", "sequence", "hash", "previous", "key_id", "signature",
    ),
    EventType.WEBHOOK_TEST: ("message",),
}  # fmt: skip

# Sent without being subscribed to, or only by their own name: `*` does not turn on a copy of the audit log.
_UNCHOSEN = frozenset({EventType.WEBHOOK_TEST})
_BY_NAME_ONLY = frozenset({EventType.AUDIT_ENTRY})
CHOICES = tuple(each for each in EventType if each not in _UNCHOSEN)
AREAS = tuple(dict.fromkeys(each.split(".")[0] for each in CHOICES))


def is_pattern(text: str) -> bool:
    """Whether this can be subscribed to: an event's name, `area.*` or `*`."""
    return text == "*" or text in CHOICES or (text.endswith(".*") and text[:-2] in AREAS)


def wants(patterns: Iterable[str], event: EventType) -> bool:
    """Whether an endpoint with these subscriptions is told of an event."""
    if event in _UNCHOSEN:
        return False
    area = f"{event.split('.')[0]}.*"
    return any(
        chosen in (event, area) or (chosen == "*" and event not in _BY_NAME_ONLY) for chosen in patterns
    )
