"""Pages below /governance/."""

from django.urls import URLPattern, URLResolver, path

from apps.governance_faces.portal import (
    audit,
    budgets,
    data_boundary,
    plan,
    policies,
    prompts,
    webhook_changes,
    webhooks,
)
from apps.governance_faces.portal.answer_cache import answer_cache

app_name = "governance"
_VERSION = "prompts/<uuid:prompt_id>/versions/<int:number>"
_POLICY = "policies/<slug:level>/<slug:subject>"
urlpatterns: list[URLPattern | URLResolver] = [
    path("policies/", policies.policy_list, name="policies"),
    path("policies/new/", policies.policy_new, name="policy-new"),
    path("policies/explain/", policies.policy_explain, name="policy-explain"),
    path(f"{_POLICY}/", policies.policy, name="policy"),
    path(f"{_POLICY}/edit/", policies.policy_edit, name="policy-edit"),
    path(f"{_POLICY}/remove/", policies.policy_remove, name="policy-remove"),
    path(f"{_POLICY}/restore/", policies.policy_restore, name="policy-restore"),
    path("plan/", plan.entitled, name="plan"),
    path("budgets/", budgets.budget_list, name="budgets"),
    path("budgets/<uuid:budget_id>/", budgets.edit, name="budget-edit"),
    path("budgets/<uuid:budget_id>/remove/", budgets.remove, name="budget-remove"),
    path("audit/", audit.audit_log, name="audit"),
    path("audit/export/", audit.export, name="audit-export"),
    path("audit/hold/", audit.hold, name="audit-hold"),
    path("audit/hold/lift/", audit.lift, name="audit-lift"),
    path("webhooks/", webhooks.endpoints, name="webhooks"),
    path("webhooks/create/", webhooks.create, name="webhook-create"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.detail, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/edit/", webhook_changes.edit, name="webhook-edit"),
    path("webhooks/<uuid:endpoint_id>/enable/", webhook_changes.enable, name="webhook-enable"),
    path("webhooks/<uuid:endpoint_id>/disable/", webhook_changes.disable, name="webhook-disable"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhook_changes.delete, name="webhook-delete"),
    path("webhooks/<uuid:endpoint_id>/rotate/", webhook_changes.rotate, name="webhook-rotate"),
    path("webhooks/<uuid:endpoint_id>/test/", webhook_changes.test, name="webhook-test"),
    path("webhooks/<uuid:endpoint_id>/replay/", webhook_changes.replay, name="webhook-replay"),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/",
        webhooks.delivery,
        name="webhook-delivery",
    ),
    path(
        "webhooks/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/replay/",
        webhook_changes.redeliver,
        name="webhook-redeliver",
    ),
    path("answer-cache/", answer_cache, name="answer-cache"),
    path("data-boundary/", data_boundary.data_boundary, name="data-boundary"),
    path("data-boundary/try/", data_boundary.try_it, name="data-boundary-try"),
    path("content/shred/", data_boundary.shred, name="content-shred"),
    path("prompts/", prompts.prompt_list, name="prompts"),
    path("prompts/<uuid:prompt_id>/", prompts.prompt_page, name="prompt"),
    path("prompts/<uuid:prompt_id>/label/", prompts.label, name="prompt-label"),
    path(f"{_VERSION}/submit/", prompts.submit, name="prompt-submit"),
    path(f"{_VERSION}/approve/", prompts.review, {"move": "approve"}, name="prompt-approve"),
    path(f"{_VERSION}/reject/", prompts.review, {"move": "reject"}, name="prompt-reject"),
    path(f"{_VERSION}/retire/", prompts.review, {"move": "retire"}, name="prompt-retire"),
]
