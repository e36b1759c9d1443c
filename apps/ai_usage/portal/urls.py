"""Pages at the root of a tenant's host: overview, usage, calls."""

from django.urls import path

from apps.ai_usage.portal import call_pages, overview, usage_pages

app_name = "ai_usage"
urlpatterns = [
    path("calls/<uuid:call_id>/content/", call_pages.call_content, name="call-content"),
    path("", overview.overview, name="overview"),
    path("usage/", usage_pages.usage_page, name="usage"),
    path("usage/export.csv", usage_pages.usage_csv, name="usage-csv"),
    path("calls/", call_pages.call_list, name="calls"),
    path("calls/export.csv", call_pages.calls_csv, name="calls-csv"),
    path("calls/<uuid:call_id>/", call_pages.call_page, name="call"),
]
