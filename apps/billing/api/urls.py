"""The API of this app, below /api/v1/."""

from django.urls import path

from apps.billing.api import views

urlpatterns = [
    path("invoices", views.InvoiceList.as_view(), name="api-invoices"),
    path("invoices/<uuid:invoice_id>", views.InvoiceOne.as_view(), name="api-invoice"),
    path("invoices/<uuid:invoice_id>/lines.csv", views.InvoiceLinesCsv.as_view(), name="api-invoice-lines"),
    path("plan", views.PlanView.as_view(), name="api-plan"),
]
