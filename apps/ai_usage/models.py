"""Providers, routes and the price book in `public`; calls, attempts and the ledger in each tenant's schema."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

_MONEY: dict[str, Any] = {"max_digits": 38, "decimal_places": 12}
_RATE: dict[str, Any] = {"max_digits": 18, "decimal_places": 6}


class Provider(models.Model):
    """A server that runs models: OpenAI, Anthropic, or one that speaks like them."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    dialect = models.CharField(max_length=10, choices=[("openai", "OpenAI"), ("anthropic", "Anthropic")])
    base_url = models.URLField(max_length=300)
    region = models.CharField(max_length=20, blank=True, default="")
    retention_days = models.PositiveIntegerField(null=True, blank=True)  # None: not known
    trains_on_data = models.BooleanField(null=True, blank=True, default=None)  # None: not known
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """A provider's secret, encrypted under CREDENTIAL_KEY; the newest one is used."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="credentials")
    ciphertext = models.BinaryField()
    # How the operator named it in the catalogue (env:NAME or file:PATH), so that an export can say the same.
    source = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at"]


class Route(models.Model):
    """A public model name and the bounds on answering it. Times in seconds."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.CharField(max_length=120, unique=True)
    connect_timeout = models.FloatField(default=2)
    first_byte_timeout = models.FloatField(default=30)
    between_bytes_timeout = models.FloatField(default=60)
    total_timeout = models.FloatField(default=600)
    attempts = models.PositiveSmallIntegerField(default=3)
    retry_seconds = models.FloatField(default=60)  # all waiting between attempts together
    # What to assume where the caller names no output limit; also the most that a call may ask for.
    max_output_tokens = models.PositiveIntegerField(default=16384)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["model"]

    def __str__(self) -> str:
        return self.model


class RouteTarget(models.Model):
    """One provider's model behind a route. Lower priority numbers first; equal ones share by weight."""

    schema = "public"
    tenant_plane = "SELECT"

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="targets")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=120)
    priority = models.PositiveSmallIntegerField(default=1)
    weight = models.PositiveSmallIntegerField(default=1)

    class Meta:
        ordering = ["priority", "-weight", "id"]
        constraints = [
            models.UniqueConstraint(fields=["route", "provider", "model"], name="ai_usage_target_once")
        ]

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.model}"


class CostRate(models.Model):
    """What a provider charges the operator for a million units of one class. Never edited, only succeeded."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=120)  # the model as the provider names it
    quantity_class = models.CharField(max_length=20)
    service_tier = models.CharField(max_length=20, default="default")
    context_min = models.PositiveIntegerField(default=0)  # applies to prompts of more than this many tokens
    mode = models.CharField(max_length=8, default="realtime")  # realtime | batch
    region = models.CharField(max_length=20, blank=True, default="")
    cost_per_million = models.DecimalField(**_RATE)
    # Sold at this on every price list, whatever the plan's markup. None: cost plus the markup.
    fixed_price_per_million = models.DecimalField(**_RATE, null=True, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=300, blank=True, default="")  # where the operator read it, and when

    class Meta:
        ordering = ["provider_id", "model", "quantity_class", "valid_from"]
        constraints = [
            models.CheckConstraint(
                name="ai_usage_costrate_not_negative", condition=Q(cost_per_million__gte=0)
            ),
            models.CheckConstraint(
                name="ai_usage_costrate_fixed_price_not_negative", condition=Q(fixed_price_per_million__gte=0)
            ),
            models.CheckConstraint(
                name="ai_usage_costrate_ends_after_start",
                condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")),
            ),
            # At every instant at most one rate prices a unit.
            ExclusionConstraint(
                name="ai_usage_costrate_no_overlap",
                expressions=[
                    ("provider", RangeOperators.EQUAL),
                    ("model", RangeOperators.EQUAL),
                    ("quantity_class", RangeOperators.EQUAL),
                    ("service_tier", RangeOperators.EQUAL),
                    ("context_min", RangeOperators.EQUAL),
                    ("mode", RangeOperators.EQUAL),
                    ("region", RangeOperators.EQUAL),
                    (
                        Func(F("valid_from"), F("valid_to"), RangeBoundary(), function="TSTZRANGE"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]


class PriceRate(models.Model):
    """What the operator charges for what one cost row covers, on one price list. Never edited, only succeeded.

    Built from the cost with a markup, rounded once and stored (docs/pricing.md), or set absolutely.
    """

    schema = "public"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    price_list = models.UUIDField(db_index=True)  # a plan version publishes one
    cost_rate = models.ForeignKey(CostRate, on_delete=models.PROTECT, related_name="+")
    price_per_million = models.DecimalField(**_RATE)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="ai_usage_pricerate_not_negative", condition=Q(price_per_million__gte=0)
            ),
            models.UniqueConstraint(fields=["price_list", "cost_rate"], name="ai_usage_pricerate_once"),
        ]


class Call(models.Model):
    """One request to the gateway, served or refused: what was asked, how it ended, what it came to."""

    schema = "tenant"
    tenant_plane = "SELECT, INSERT"

    id = models.UUIDField(primary_key=True)
    started_at = models.DateTimeField()
    key_id = models.UUIDField(null=True)
    owner_kind = models.CharField(max_length=16)  # member | service_account
    owner_id = models.UUIDField(null=True)
    environment = models.CharField(max_length=4, default="live")
    endpoint = models.CharField(max_length=24)  # chat.completions | responses | embeddings | messages | …
    model = models.CharField(max_length=120)  # the route asked for
    stream = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField()  # the HTTP status answered
    outcome = models.CharField(max_length=12)  # ok | refused | failed | client_gone | cut
    error_code = models.CharField(max_length=60, blank=True, default="")
    duration_ms = models.PositiveIntegerField()
    first_byte_ms = models.PositiveIntegerField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    provider = models.CharField(max_length=60, blank=True, default="")
    served_model = models.CharField(max_length=120, blank=True, default="")
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost = models.DecimalField(**_MONEY, default=0)
    price = models.DecimalField(**_MONEY, default=0)
    currency = models.CharField(max_length=3, default="USD")
    usage_source = models.CharField(max_length=10, blank=True, default="")  # provider | drained | estimated
    tags = models.JSONField(default=dict)
    # Why it went where it went: rules that applied, what was clamped, for GET /api/v1/calls/{id}.
    explanation = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["-started_at"], name="ai_usage_call_time"),
            models.Index(fields=["key_id", "-started_at"], name="ai_usage_call_key"),
        ]


class Attempt(models.Model):
    """One try at one provider target, whatever came of it."""

    schema = "tenant"
    tenant_plane = "SELECT, INSERT"

    id = models.UUIDField(primary_key=True)
    call_id = models.UUIDField(db_index=True)
    number = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=60)
    model = models.CharField(max_length=120)
    started_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)  # None: no answer
    outcome = models.CharField(max_length=20)  # ok | rate_limited | overloaded | timeout | connect | …
    error = models.CharField(max_length=300, blank=True, default="")
    waited_ms = models.PositiveIntegerField(default=0)  # back-off before this attempt
    duration_ms = models.PositiveIntegerField()
    first_byte_ms = models.PositiveIntegerField(null=True)
    provider_request_id = models.CharField(max_length=120, blank=True, default="")


class UsageEvent(models.Model):
    """What one attempt consumed. Immutable: a correction is another event that points at this one."""

    schema = "tenant"
    tenant_plane = "SELECT, INSERT"

    id = models.UUIDField(primary_key=True)  # the attempt's id for usage; so a replay cannot double it
    call_id = models.UUIDField(db_index=True)
    kind = models.CharField(max_length=10, default="usage")  # usage | correction | void
    corrects = models.UUIDField(null=True)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=models.functions.Now())
    key_id = models.UUIDField(null=True)
    owner_kind = models.CharField(max_length=16)
    owner_id = models.UUIDField(null=True)
    environment = models.CharField(max_length=4, default="live")
    model = models.CharField(max_length=120)  # the route
    provider = models.CharField(max_length=60)
    served_model = models.CharField(max_length=120)
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    # [{"class", "quantity", "rate_id", "cost", "price"}]: disjoint classes, amounts as exact decimal strings.
    lines = models.JSONField()
    cost = models.DecimalField(**_MONEY)
    price = models.DecimalField(**_MONEY)
    currency = models.CharField(max_length=3)
    price_list = models.UUIDField(null=True)
    usage_source = models.CharField(max_length=10)
    anomaly = models.CharField(max_length=60, blank=True, default="")
    raw_usage = models.JSONField(null=True)
    provider_request_id = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["key_id", "occurred_at"], name="ai_usage_event_key"),
            models.Index(fields=["occurred_at"], name="ai_usage_event_time"),
        ]


class UsagePending(models.Model):
    """An event that no roll-up has counted yet. Deleted in the transaction that counts it: exactly once."""

    schema = "tenant"

    event_id = models.UUIDField(primary_key=True)


class UsageHourly(models.Model):
    """Events summed by hour, key, model and rate. Disposable: rebuilt from the events at any time."""

    schema = "tenant"

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()  # UTC
    key_id = models.UUIDField(null=True)
    owner_id = models.UUIDField(null=True)
    model = models.CharField(max_length=120)
    provider = models.CharField(max_length=60)
    served_model = models.CharField(max_length=120)
    quantity_class = models.CharField(max_length=20)
    rate_id = models.UUIDField()  # the cost row
    price_id = models.UUIDField()  # the price row: a cost row sells at different prices on different plans
    currency = models.CharField(max_length=3)
    quantity = models.BigIntegerField(default=0)
    cost = models.DecimalField(**_MONEY, default=0)
    price = models.DecimalField(**_MONEY, default=0)
    # Answered calls, each on the first line of its event: a sum over any rows counts every call once.
    events = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "hour",
                    "key_id",
                    "owner_id",
                    "model",
                    "provider",
                    "served_model",
                    "quantity_class",
                    "rate_id",
                    "price_id",
                    "currency",
                ],
                nulls_distinct=False,
                name="ai_usage_hourly_once",
            )
        ]


class TenantDaily(models.Model):
    """One tenant's day by model, for the operator: how much, at what cost and price. Rebuilt from the hours."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    day = models.DateField()
    model = models.CharField(max_length=120)
    currency = models.CharField(max_length=3)
    calls = models.BigIntegerField(db_default=0)  # answered ones, each once
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost = models.DecimalField(**_MONEY, default=0)
    price = models.DecimalField(**_MONEY, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "day", "model", "currency"], name="ai_usage_tenantdaily_once"
            )
        ]


class BackgroundResponse(models.Model):
    """A `POST /v1/responses` with `background: true`: what was asked, and the answer once a worker has it."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    call_id = models.UUIDField()
    key_id = models.UUIDField()
    model = models.CharField(max_length=120)
    state = models.CharField(
        max_length=12, default="queued"
    )  # queued | in_progress | completed | failed | cancelled
    # Prompt and answer, encrypted at rest; removed when they are no longer to be kept.
    request = models.BinaryField(null=True)
    response = models.BinaryField(null=True)
    error_code = models.CharField(max_length=60, blank=True, default="")
    error_message = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="ai_usage_background_expiry")]


class IdempotentCall(models.Model):
    """What was asked under an Idempotency-Key, and the answer that a repetition gets instead of a second call."""

    schema = "tenant"

    id = models.UUIDField(primary_key=True, editable=False)  # made of key family and Idempotency-Key
    fingerprint = models.BinaryField(max_length=32)  # of endpoint and body
    call_id = models.UUIDField()
    # The usage event's id, the same for every try within the window, so that the ledger takes only one.
    event_id = models.UUIDField()
    state = models.CharField(max_length=10, default="open")  # open | done | too_large
    # While open: whoever makes the call moves it on, and once it passes, the call may be made anew.
    lease_until = models.DateTimeField()
    content_type = models.CharField(max_length=60, blank=True, default="")
    answer = models.BinaryField(null=True)  # encrypted, bound to its tenant and id
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="ai_usage_idempotent_expiry")]


class CatalogueVersion(models.Model):
    """One row that a trigger replaces on any change of the catalogue's tables, so that processes can compare it."""

    schema = "public"
    tenant_plane = "SELECT"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.UUIDField(default=uuid7)
