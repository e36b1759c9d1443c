"""Stripe's address, below /stripe/ on the operator's host."""

from django.urls import path

from apps.billing import webhooks

urlpatterns = [path("webhook", webhooks.receive, name="stripe-webhook")]
