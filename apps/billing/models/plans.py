"""What is sold (plans and their immutable versions), and which tenant has bought what since when."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.billing.models.fields import amount_field, currency_constraint, span
from apps.billing.types import SubscriptionState


class Plan(models.Model):
    """A name under which the operator sells. What it means at one time is its newest version."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    """What a plan costs and contains. Never changed (a trigger refuses it): a change is another version."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()  # 1, 2, 3 … within the plan; the highest is for sale
    price_per_month = amount_field()
    currency = models.CharField(max_length=3)
    markup_percent = models.DecimalField(max_digits=12, decimal_places=4)
    # Route names; ["*"] is every route that is priced.
    model_names = ArrayField(models.CharField(max_length=120))
    features = models.JSONField(default=dict)  # name → true or false
    limits = models.JSONField(default=dict)  # name → whole number, or a decimal string for money
    # The price rows (ai_usage.PriceRate) at which this version sells. Versions with the same markup share
    # one.
    price_list = models.UUIDField()
    published_at = models.DateTimeField()

    class Meta:
        ordering = ["plan_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="billing_planversion_number_once"),
            models.CheckConstraint(name="billing_planversion_number_positive", condition=Q(number__gte=1)),
            models.CheckConstraint(
                name="billing_planversion_price_not_negative", condition=Q(price_per_month__gte=0)
            ),
            # A larger discount would make prices negative.
            models.CheckConstraint(
                name="billing_planversion_markup_floor", condition=Q(markup_percent__gte=-100)
            ),
            currency_constraint("billing_planversion_currency"),
        ]

    def __str__(self) -> str:
        return f"{self.plan.name} v{self.number}"


class Subscription(models.Model):
    """One tenant on one plan version over one stretch of time. A change of plan ends one row and begins the
    next."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    plan_version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="subscriptions")
    state = models.CharField(
        max_length=10,
        choices=[(state.value, state.value) for state in SubscriptionState],
        default=SubscriptionState.ACTIVE.value,
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["tenant_id", "-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id"], condition=Q(ended_at=None), name="billing_subscription_one_current"
            ),
            models.CheckConstraint(
                name="billing_subscription_known_state",
                condition=Q(state__in=[state.value for state in SubscriptionState]),
            ),
            models.CheckConstraint(
                name="billing_subscription_ends_after_start",
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
            ),
            ExclusionConstraint(
                name="billing_subscription_no_overlap",
                expressions=[
                    ("tenant_id", RangeOperators.EQUAL),
                    (span("started_at", "ended_at"), RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_version} since {self.started_at:%Y-%m-%d}"


class EntitlementOverride(models.Model):
    """What one tenant may use beyond or below its plan, until a moment, and why."""

    schema = "public"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    name = models.CharField(max_length=80)  # "features.sso" or "limits.keys"
    value = models.JSONField(null=True, blank=True)  # for a limit, null: unlimited
    reason = models.CharField(max_length=300)
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    # When it stopped to count: withdrawn, replaced, or noticed to have expired. Null while it may count.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "name"], condition=Q(ended_at=None), name="billing_override_one_current"
            ),
            models.CheckConstraint(
                name="billing_override_known_name",
                condition=Q(name__startswith="features.") | Q(name__startswith="limits."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"
