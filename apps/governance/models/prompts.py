"""Prompts and their versions."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class Prompt(models.Model):
    """A named prompt. What it says is in its versions; labels point at approved ones."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=60, unique=True)
    name = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True, default="")
    # {"production": 3}: a label's version number.
    labels = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["slug"]


class PromptVersion(models.Model):
    """One wording of a prompt. Only a draft's can be changed, which a trigger holds as well."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, default="draft")  # draft | in_review | approved | retired
    # The form is prompts.types.Template.
    content = models.JSONField()
    note = models.CharField(max_length=500, blank=True, default="")
    # Whoever wrote it, as `member:<id>` or `service_account:<id>`: a person stays one, whichever key is used.
    author_id = models.CharField(max_length=64)
    author_name = models.CharField(max_length=200, blank=True, default="")
    reviewer_id = models.CharField(max_length=64, blank=True, default="")
    reviewer_name = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    submitted_at = models.DateTimeField(null=True)
    reviewed_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["prompt", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "number"], name="governance_promptversion_once"),
            models.CheckConstraint(
                name="governance_promptversion_state",
                condition=Q(state__in=["draft", "in_review", "approved", "retired"]),
            ),
            # Four eyes: nobody approves what they wrote.
            models.CheckConstraint(
                name="governance_promptversion_four_eyes",
                condition=~Q(state="approved")
                | (Q(reviewed_at__isnull=False) & ~Q(reviewer_id="") & ~Q(reviewer_id=F("author_id"))),
            ),
        ]
