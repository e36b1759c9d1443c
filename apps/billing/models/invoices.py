"""Statements, invoices and their lines, numbers and credit: the books."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.billing.models.fields import amount_field, currency_constraint
from apps.billing.models.periods import BillingPeriod
from apps.billing.types import CreditKind, InvoiceState, LineKind


class Statement(models.Model):
    """What a closed period came to, sealed: hashes over its events and lines, chained per tenant. Never
    changed."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    period = models.ForeignKey(BillingPeriod, on_delete=models.PROTECT, related_name="statements")
    revision = models.PositiveSmallIntegerField(default=1)
    currency = models.CharField(max_length=3)
    event_count = models.BigIntegerField()
    usage_cost = amount_field()
    usage_price = amount_field()
    subtotal = amount_field()
    events_hash = models.BinaryField(max_length=32)
    lines_hash = models.BinaryField(max_length=32)
    previous_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    closed_at = models.DateTimeField()

    class Meta:
        ordering = ["tenant_id", "-closed_at"]
        constraints = [
            models.UniqueConstraint(fields=["period", "revision"], name="billing_statement_revision_once"),
            models.CheckConstraint(
                name="billing_statement_count_not_negative", condition=Q(event_count__gte=0)
            ),
        ]


class InvoiceSeries(models.Model):
    """The last number given out in a series. Its row lock makes the numbers gapless."""

    schema = "public"

    name = models.CharField(max_length=20, primary_key=True)
    last = models.PositiveBigIntegerField(default=0)


class Invoice(models.Model):
    """An invoice's header. The lines are in the tenant's schema, the books are here and outlive it."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField()
    period = models.ForeignKey(BillingPeriod, on_delete=models.PROTECT, related_name="invoices")
    kind = models.CharField(max_length=10, default="period")
    revision = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(
        max_length=13,
        choices=[(state.value, state.value) for state in InvoiceState],
        default=InvoiceState.DRAFT.value,
    )
    number = models.CharField(max_length=30, null=True, blank=True, unique=True)  # a draft has none
    currency = models.CharField(max_length=3)
    # Exact, the sum of the lines; the total is the same rounded once, in minor units (cents).
    subtotal = amount_field(default=0)
    total_minor = models.BigIntegerField(default=0)
    # subtotal - total: less than half a minor unit, and the first line of the next invoice.
    carried_out = amount_field(default=0)
    refreshed_at = models.DateTimeField(default=timezone.now)
    finalized_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["tenant_id", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "period", "kind", "revision"], name="billing_invoice_once_per_period"
            ),
            models.CheckConstraint(
                name="billing_invoice_known_state",
                condition=Q(state__in=[state.value for state in InvoiceState]),
            ),
            models.CheckConstraint(
                name="billing_invoice_numbered_when_final",
                condition=Q(state="draft", number=None, finalized_at=None)
                | ~Q(state="draft") & Q(number__isnull=False, finalized_at__isnull=False),
            ),
            models.CheckConstraint(
                name="billing_invoice_total_not_negative", condition=Q(total_minor__gte=0)
            ),
            models.CheckConstraint(
                name="billing_invoice_paid_has_moment",
                condition=Q(state="paid", paid_at__isnull=False) | ~Q(state="paid") & Q(paid_at=None),
            ),
            currency_constraint("billing_invoice_currency"),
        ]

    def __str__(self) -> str:
        return self.number or "draft"


class InvoiceLine(models.Model):
    """One line of an invoice: rewritten while the invoice is a draft, frozen (trigger) with its number."""

    schema = "tenant"
    tenant_plane = "SELECT"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    invoice_id = models.UUIDField()
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in LineKind])
    description = models.CharField(max_length=300)
    starts_at = models.DateTimeField()  # what stretch of time the line is for, half-open
    ends_at = models.DateTimeField()
    # Usage and adjustments: how many units of which class of which model, at which price row.
    model = models.CharField(max_length=120, blank=True, default="")
    quantity_class = models.CharField(max_length=20, blank=True, default="")
    price_id = models.UUIDField(null=True)
    quantity = models.BigIntegerField(null=True)
    price_per_million = models.DecimalField(max_digits=18, decimal_places=6, null=True)
    amount = amount_field()  # exact
    amount_minor = models.BigIntegerField()  # this line's share of the total
    frozen = models.BooleanField(default=False)

    class Meta:
        ordering = ["invoice_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice_id", "position"], name="billing_line_position_once"),
            models.CheckConstraint(
                name="billing_line_known_kind", condition=Q(kind__in=[kind.value for kind in LineKind])
            ),
            models.CheckConstraint(
                name="billing_line_time_not_backwards", condition=Q(ends_at__gte=F("starts_at"))
            ),
        ]


class CreditEntry(models.Model):
    """A movement on a tenant's credit, in minor units. Only added to: the balance is the sum."""

    schema = "public"
    tenant_plane = "SELECT"
    row_security = "tenant_id"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = models.UUIDField(db_index=True)
    kind = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in CreditKind])
    amount_minor = models.BigIntegerField()  # positive: the tenant may spend more
    currency = models.CharField(max_length=3)
    invoice = models.ForeignKey(Invoice, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300, blank=True, default="")
    created_by = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="billing_credit_sign",
                condition=Q(kind="granted", amount_minor__gt=0)
                | Q(kind="applied", amount_minor__lt=0, invoice__isnull=False)
                | Q(kind="returned", amount_minor__gt=0, invoice__isnull=False)
                | Q(kind="withdrawn", amount_minor__lt=0),
            ),
            # An invoice takes credit once.
            models.UniqueConstraint(
                fields=["invoice", "kind"],
                condition=Q(invoice__isnull=False),
                name="billing_credit_once_per_invoice",
            ),
            currency_constraint("billing_credit_currency"),
        ]
