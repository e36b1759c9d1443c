"""Pages about invoices and the plan, on a tenant's host."""

from django.urls import path

from apps.billing.portal import views

app_name = "billing"
urlpatterns = [
    path("", views.invoice_list, name="invoices"),
    path("<uuid:invoice_id>/", views.invoice_detail, name="invoice"),
    path("<uuid:invoice_id>/lines.csv", views.invoice_csv, name="invoice_csv"),
]
