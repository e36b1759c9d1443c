"""Governance's tables, a file for each subject."""

from apps.governance.models.audit import AuditEntry, OperatorAuditEntry
from apps.governance.models.budgets import Budget
from apps.governance.models.entitlements import Entitlements
from apps.governance.models.policies import PolicyBound, PolicyDefaultBound, PolicyVersion
from apps.governance.models.webhooks import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "AuditEntry",
    "Budget",
    "DeliveryState",
    "Entitlements",
    "OperatorAuditEntry",
    "PolicyBound",
    "PolicyDefaultBound",
    "PolicyVersion",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
]
