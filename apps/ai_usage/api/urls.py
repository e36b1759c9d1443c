"""The API of this app, below /api/v1/."""

from django.urls import path

from apps.ai_usage.api import views

urlpatterns = [
    path("usage", views.UsageView.as_view(), name="api-usage"),
    path("calls", views.CallList.as_view(), name="api-calls"),
    path("calls/<uuid:call_id>", views.CallOne.as_view(), name="api-call"),
    path("calls/<uuid:call_id>/content", views.CallContent.as_view(), name="api-call-content"),
]
