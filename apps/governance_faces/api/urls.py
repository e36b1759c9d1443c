"""The API of governance, below /api/v1/."""

from django.urls import URLPattern, URLResolver, path

from apps.governance_faces.api import budgets

urlpatterns: list[URLPattern | URLResolver] = [
    path("budgets", budgets.BudgetList.as_view(), name="api-budgets"),
    path("budgets/<uuid:budget_id>", budgets.BudgetOne.as_view(), name="api-budget"),
]
