"""A tenant's own host: the portal and the API."""

from django.urls import include, path

from config.urls.health import health

urlpatterns = [
    path("", include("apps.ai_usage.portal.urls")),
    path("keys/", include("apps.keys.portal.urls")),
    path("governance/", include("apps.governance_faces.portal.urls")),
    path("invoices/", include("apps.billing.portal.urls")),
    path("members/", include("apps.identity.portal.urls")),
    path("accounts/", include("apps.identity.portal.account_urls")),
    path("api/v1/", include("config.urls.api_v1")),
    *health,
]
handler400 = "config.views.bad_request"
handler403 = "config.views.forbidden"
handler404 = "config.views.not_found"
handler500 = "config.views.server_error"
