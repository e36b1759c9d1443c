"""The API of governance, below /api/v1/."""

from django.urls import URLPattern, URLResolver, path

from apps.governance_faces.api import audit, budgets, data_boundary, policies, prompts, webhooks
from apps.governance_faces.api.answer_cache import AnswerCacheView

_PROMPT = "prompts/<uuid:prompt_id>"
_VERSION = f"{_PROMPT}/versions/<int:number>"
_POLICY = "policies/<slug:level>/<slug:subject>"
urlpatterns: list[URLPattern | URLResolver] = [
    path("answer-cache", AnswerCacheView.as_view(), name="api-answer-cache"),
    path("data-boundary", data_boundary.DataBoundaryView.as_view(), name="api-data-boundary"),
    path("data-boundary/try", data_boundary.DataBoundaryTry.as_view(), name="api-data-boundary-try"),
    path("content/rotate-key", data_boundary.RotateContentKey.as_view(), name="api-content-rotate-key"),
    path("content/shred", data_boundary.ShredContent.as_view(), name="api-content-shred"),
    path("prompts", prompts.PromptList.as_view(), name="api-prompts"),
    path(_PROMPT, prompts.PromptOne.as_view(), name="api-prompt"),
    path(f"{_PROMPT}/versions", prompts.PromptVersions.as_view(), name="api-prompt-versions"),
    path(_VERSION, prompts.PromptVersionOne.as_view(), name="api-prompt-version"),
    path(f"{_VERSION}/submit", prompts.SubmitVersion.as_view(), name="api-prompt-submit"),
    path(f"{_VERSION}/approve", prompts.ApproveVersion.as_view(), name="api-prompt-approve"),
    path(f"{_VERSION}/reject", prompts.RejectVersion.as_view(), name="api-prompt-reject"),
    path(f"{_VERSION}/retire", prompts.RetireVersion.as_view(), name="api-prompt-retire"),
    path(f"{_PROMPT}/labels/<slug:label>", prompts.PromptLabel.as_view(), name="api-prompt-label"),
    path(f"{_PROMPT}/render", prompts.RenderVersion.as_view(), name="api-prompt-render"),
    path(f"{_PROMPT}/diff/<int:older>/<int:newer>", prompts.PromptDiff.as_view(), name="api-prompt-diff"),
    path("budgets", budgets.BudgetList.as_view(), name="api-budgets"),
    path("budgets/<uuid:budget_id>", budgets.BudgetOne.as_view(), name="api-budget"),
    path("policies", policies.PolicyList.as_view(), name="api-policies"),
    path("policies/bounds", policies.PolicyBoundsView.as_view(), name="api-policy-bounds"),
    path("policies/dry-run", policies.PolicyDryRun.as_view(), name="api-policy-dry-run"),
    path("policies/explain", policies.PolicyExplain.as_view(), name="api-policy-explain"),
    path(_POLICY, policies.PolicyOne.as_view(), name="api-policy"),
    path(f"{_POLICY}/versions", policies.PolicyVersionList.as_view(), name="api-policy-versions"),
    path(f"{_POLICY}/versions/<int:number>", policies.PolicyVersionOne.as_view(), name="api-policy-version"),
    path(
        f"{_POLICY}/versions/<int:number>/restore",
        policies.PolicyRestore.as_view(),
        name="api-policy-restore",
    ),
    path(f"{_POLICY}/shadow", policies.PolicyShadow.as_view(), name="api-policy-shadow"),
    path("audit", audit.AuditLog.as_view(), name="api-audit"),
    path("audit/export", audit.AuditExport.as_view(), name="api-audit-export"),
    path("audit/hold", audit.AuditHoldView.as_view(), name="api-audit-hold"),
    path("webhooks", webhooks.WebhookList.as_view(), name="api-webhooks"),
    path("webhooks/<uuid:endpoint_id>", webhooks.WebhookOne.as_view(), name="api-webhook"),
    path("webhooks/<uuid:endpoint_id>/enable", webhooks.WebhookEnabling.as_view(), name="api-webhook-enable"),
    path(
        "webhooks/<uuid:endpoint_id>/disable", webhooks.WebhookDisabling.as_view(), name="api-webhook-disable"
    ),
    path(
        "webhooks/<uuid:endpoint_id>/rotate-secret",
        webhooks.WebhookRotation.as_view(),
        name="api-webhook-rotate",
    ),
    path("webhooks/<uuid:endpoint_id>/test", webhooks.WebhookTesting.as_view(), name="api-webhook-test"),
    path("webhooks/<uuid:endpoint_id>/replay", webhooks.WebhookReplay.as_view(), name="api-webhook-replay"),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries",
        webhooks.WebhookDeliveries.as_view(),
        name="api-webhook-deliveries",
    ),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/replay",
        webhooks.WebhookRedelivery.as_view(),
        name="api-webhook-redeliver",
    ),
]
