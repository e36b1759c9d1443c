"""Governance's tables, a file for each subject."""

from apps.governance.models.answer_cache import AnswerCache
from apps.governance.models.audit import AuditEntry, OperatorAuditEntry
from apps.governance.models.audit_heads import AuditHead, OperatorHold, TenantHold
from apps.governance.models.budgets import Budget, BudgetAlert
from apps.governance.models.data_boundary import CallContent, ContentKey, DataBoundary, DataBoundaryFloor
from apps.governance.models.entitlements import Entitlements
from apps.governance.models.policies import PolicyBound, PolicyDefaultBound, PolicyVersion
from apps.governance.models.prompts import Prompt, PromptVersion
from apps.governance.models.webhooks import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "AnswerCache",
    "AuditEntry",
    "AuditHead",
    "Budget",
    "BudgetAlert",
    "CallContent",
    "ContentKey",
    "DataBoundary",
    "DataBoundaryFloor",
    "DeliveryState",
    "Entitlements",
    "OperatorAuditEntry",
    "OperatorHold",
    "PolicyBound",
    "PolicyDefaultBound",
    "PolicyVersion",
    "Prompt",
    "PromptVersion",
    "TenantHold",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
]
