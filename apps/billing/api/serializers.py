"""What the API answers of invoices and the plan. Money is a decimal string; `total_minor` counts cents."""

from typing import Any

from rest_framework import serializers

from apps.billing.types import InvoiceState, LineKind, SubscriptionState

# Named in settings (ENUM_NAME_OVERRIDES), so that the description has one enumeration for each.
INVOICE_STATES = [state.value for state in InvoiceState]
SUBSCRIPTION_STATES = [state.value for state in SubscriptionState]


class InvoiceSerializer(serializers.Serializer[Any]):
    """An invoice without its lines."""

    id = serializers.UUIDField()
    number = serializers.CharField(allow_null=True, help_text="Null while it is a draft.")
    state = serializers.ChoiceField(choices=INVOICE_STATES)
    currency = serializers.CharField()
    period_start = serializers.DateTimeField(source="starts_at")
    period_end = serializers.DateTimeField(source="ends_at", help_text="The first instant after the period.")
    subtotal = serializers.DecimalField(
        max_digits=38, decimal_places=12, help_text="The exact sum of the lines."
    )
    total = serializers.DecimalField(
        max_digits=38,
        decimal_places=12,
        normalize_output=True,
        help_text="What is asked for: the subtotal, rounded once.",
    )
    total_minor = serializers.IntegerField(help_text="The total in the currency's smallest unit.")
    refreshed_at = serializers.DateTimeField()
    finalized_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)
    paid_at = serializers.DateTimeField(allow_null=True)


class LineSerializer(serializers.Serializer[Any]):
    """One line: `amount` is exact, `amount_minor` its share of the total."""

    position = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in LineKind])
    description = serializers.CharField()
    start = serializers.DateTimeField(source="starts_at")
    end = serializers.DateTimeField(source="ends_at")
    model = serializers.CharField(help_text="Empty unless the line is for usage.")
    quantity_class = serializers.CharField()
    quantity = serializers.IntegerField(allow_null=True)
    price_per_million = serializers.DecimalField(max_digits=18, decimal_places=6, allow_null=True)
    price_id = serializers.UUIDField(allow_null=True)
    amount = serializers.DecimalField(max_digits=38, decimal_places=12)
    amount_minor = serializers.IntegerField()


class InvoiceDetailSerializer(InvoiceSerializer):
    """An invoice with its lines."""

    lines = LineSerializer(many=True)


class PlanSerializer(serializers.Serializer[Any]):
    """What the tenant is on, and what it may use now."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    state = serializers.ChoiceField(choices=SUBSCRIPTION_STATES)
    price_per_month = serializers.DecimalField(max_digits=38, decimal_places=12, normalize_output=True)
    currency = serializers.CharField()
    since = serializers.DateTimeField(help_text="When this version of the plan began for you.")
    models = serializers.ListField(
        child=serializers.CharField(), help_text="`*` is every route that is priced."
    )
    features = serializers.DictField(help_text="True, false, or the way chosen, by name.")
    limits = serializers.DictField(
        help_text="A limit that is absent does not bound. Money is a decimal string."
    )
    origins = serializers.DictField(
        child=serializers.CharField(),
        help_text="Where each feature and limit is from: plan, override or licence.",
    )
