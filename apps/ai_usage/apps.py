"""Registers the app."""

from django.apps import AppConfig


class AiUsageConfig(AppConfig):
    name = "apps.ai_usage"
    label = "ai_usage"
    verbose_name = "AI usage"
