"""The REST API, version 1."""

from django.urls import include, path

from config import views

urlpatterns = [
    path("schema", views.ApiSchema.as_view(), name="api-schema"),
    path("docs", views.ApiDocs.as_view(url_name="api-schema"), name="api-docs"),
    path("", include("apps.keys.api.urls")),
    path("", include("apps.ai_usage.api.urls")),
    path("", include("apps.governance_faces.api.urls")),
    path("", include("apps.billing.api.urls")),
]
