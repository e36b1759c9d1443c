"""The API of governance, below /api/v1/."""

from django.urls import URLPattern, URLResolver, path

from apps.governance_faces.api import budgets, policies

_POLICY = "policies/<slug:level>/<slug:subject>"
urlpatterns: list[URLPattern | URLResolver] = [
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
]
