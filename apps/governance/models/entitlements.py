"""What a tenant may use, as stored in its schema."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Entitlements(models.Model):
    """The resolved answer to "what may this tenant use now": one row, replaced whole by whoever sells.

    The tenant plane reads it and cannot write it: what was bought is not the buyer's to change.
    """

    schema = "tenant"
    tenant_plane = "SELECT"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.PositiveBigIntegerField(default=1)
    # The form is governance.types.Entitlements; validated there on the way in and out.
    snapshot = models.JSONField()
    published_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(name="governance_entitlements_one_row", condition=Q(id=1))]
