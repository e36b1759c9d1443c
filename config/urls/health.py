"""Health and metrics, on every process; metrics never on a tenant's host."""

from django.urls import path

from config import views

health = [
    path("health/live", views.live, name="health-live"),
    path("health/ready", views.ready, name="health-ready"),
]
metrics = [path("metrics", views.metrics, name="metrics")]
