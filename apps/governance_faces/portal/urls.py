"""Pages below /governance/."""

from django.urls import URLPattern, URLResolver, path

from apps.governance_faces.portal import budgets, plan, policies

app_name = "governance"
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
]
