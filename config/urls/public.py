"""Hosts that belong to no tenant: the API (the key names the tenant), health and metrics. No portal."""

from django.urls import include, path

from config import views
from config.urls.health import health, metrics

urlpatterns = [
    path("", views.welcome, name="welcome"),
    path("api/v1/", include("config.urls.api_v1")),
    *health,
    *metrics,
]
handler404 = "config.views.not_found"
handler500 = "config.views.server_error"
