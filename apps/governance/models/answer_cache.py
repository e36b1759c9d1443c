"""Whether a tenant has answers to identical requests repeated from memory."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class AnswerCache(models.Model):
    """One row, made when the setting is first changed; none is the same as off."""

    schema = "tenant"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    enabled = models.BooleanField(default=False)
    seconds = models.PositiveIntegerField()  # how long an answer may be repeated
    routes = models.JSONField(default=list)  # public model names; empty: every one
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(name="governance_answer_cache_one_row", condition=Q(id=1)),
            models.CheckConstraint(name="governance_answer_cache_seconds", condition=Q(seconds__gte=1)),
        ]
