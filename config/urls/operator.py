"""The operator's host: the Django admin, Stripe's webhook, health and metrics."""

from django.contrib import admin
from django.urls import include, path

from config.urls.health import health, metrics

urlpatterns = [
    *health,
    *metrics,
    path("stripe/", include("apps.billing.webhook_urls")),
    path("", admin.site.urls),
]
handler404 = "config.views.not_found"
handler500 = "config.views.server_error"
