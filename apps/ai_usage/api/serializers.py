"""What the API answers, member by member. Amounts are exact decimal strings; costs are in none of them."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiTypes, extend_schema_field
from rest_framework import serializers

from apps.ai_usage.insight.types import Consumed, Outcome, UsageReport, UsageRow


@extend_schema_field(OpenApiTypes.DECIMAL)
class ExactField(serializers.Field[Any, Any, str, Decimal]):
    """An amount as a decimal string: every digit that carries value and no others, never in exponents."""

    def to_representation(self, value: Decimal) -> str:
        """`0.000324`, `12`."""
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


class ConsumedSerializer(serializers.Serializer[Consumed]):
    """A sum of usage in one currency."""

    currency = serializers.CharField()
    price = ExactField(help_text="Exact, in the currency's units, as a decimal string.")
    calls = serializers.IntegerField(
        help_text="Calls that were answered; a call is counted with its first class when grouped by class."
    )
    input_tokens = serializers.IntegerField(help_text="All that went in, cached or not.")
    cached_tokens = serializers.IntegerField(help_text="Of the input, what a cache answered for.")
    output_tokens = serializers.IntegerField()
    quantities = serializers.DictField(
        child=serializers.IntegerField(), help_text="By class; the classes have no unit in common."
    )


class UsageRowSerializer(ConsumedSerializer):
    """The usage of one group."""

    group = serializers.DictField(
        child=serializers.CharField(allow_null=True),
        help_text="By grouping: a name, an id (with `key_name` or `owner_name`), or when the hour, "
        "day or month begins.",
    )


class UsageSerializer(serializers.Serializer[Any]):
    """Usage over a period. The totals are exactly the sums of the rows and of the ledger."""

    def get_fields(self) -> dict[str, Any]:
        """Written here because `from` is a word of Python's and `data` one of serializers'."""
        return {
            "from": serializers.DateTimeField(),
            "to": serializers.DateTimeField(),
            "data": UsageRowSerializer(many=True),
            "totals": ConsumedSerializer(many=True, help_text="One per currency."),
        }


class CallOwnerSerializer(serializers.Serializer[Any]):
    """Whom a call's key acted for."""

    kind = serializers.CharField()
    id = serializers.UUIDField(allow_null=True)


class CallSerializer(serializers.Serializer[Any]):
    """One request to the gateway."""

    id = serializers.UUIDField(help_text="The `x-lockstep-call-id` of its answer.")
    started_at = serializers.DateTimeField()
    key_id = serializers.UUIDField(allow_null=True)
    owner = serializers.SerializerMethodField()
    environment = serializers.CharField()
    endpoint = serializers.CharField(help_text="Such as `chat.completions` or `messages`.")
    model = serializers.CharField(help_text="As it was asked for.")
    stream = serializers.BooleanField()
    status = serializers.IntegerField(help_text="The HTTP status that was answered.")
    outcome = serializers.ChoiceField(choices=[each.value for each in Outcome])
    error_code = serializers.CharField(help_text="Why it was refused or failed; empty where it was not.")
    duration_ms = serializers.IntegerField()
    first_byte_ms = serializers.IntegerField(allow_null=True, help_text="Streams only.")
    attempts = serializers.IntegerField()
    provider = serializers.CharField(help_text="Of the last attempt.")
    served_model = serializers.CharField(help_text="As the provider names it.")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    price = ExactField()
    currency = serializers.CharField()
    usage_source = serializers.CharField(
        help_text="`provider`, `drained` (the client had left), `estimated`, or `cache` (an answer from memory); "
        "empty if nothing was consumed."
    )
    tags = serializers.DictField(child=serializers.CharField(), help_text="Those of its key.")

    @extend_schema_field(CallOwnerSerializer)
    def get_owner(self, call: Any) -> dict[str, Any]:
        """Kind and id."""
        return {"kind": call.owner_kind, "id": str(call.owner_id) if call.owner_id else None}


class AttemptSerializer(serializers.Serializer[Any]):
    """One try at one provider target."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    target = serializers.CharField(help_text="Provider and model, as in `x-lockstep-provider`.")
    provider = serializers.CharField()
    model = serializers.CharField()
    started_at = serializers.DateTimeField()
    waited_ms = serializers.IntegerField(help_text="Before this attempt, because of the ones before it.")
    status = serializers.IntegerField(
        allow_null=True, help_text="The provider's HTTP status; null: no answer."
    )
    outcome = serializers.CharField(help_text="`ok`, or what went wrong.")
    why = serializers.CharField(source="error", help_text="What went wrong, in words.")
    duration_ms = serializers.IntegerField()
    first_byte_ms = serializers.IntegerField(allow_null=True)
    provider_request_id = serializers.CharField()


class UsageLineSerializer(serializers.Serializer[Any]):
    """One class of what was consumed: quantity times price per million is its price, exactly."""

    quantity_class = serializers.CharField()
    quantity = serializers.IntegerField()
    price_per_million = ExactField(allow_null=True)
    price = ExactField()
    price_id = serializers.UUIDField(allow_null=True, help_text="The row of your price list.")
    rate_id = serializers.UUIDField(allow_null=True, help_text="The rate that the price row belongs to.")


class UsageEventSerializer(serializers.Serializer[Any]):
    """What one attempt consumed."""

    id = serializers.UUIDField()
    kind = serializers.CharField(help_text="`usage`, or `correction` of an earlier one.")
    occurred_at = serializers.DateTimeField()
    provider = serializers.CharField()
    served_model = serializers.CharField()
    usage_source = serializers.CharField()
    charged = serializers.SerializerMethodField(help_text="False for an answer that never reached you.")
    anomaly = serializers.CharField(help_text="What was unusual about the provider's figures; mostly empty.")
    price = ExactField()
    currency = serializers.CharField()
    lines = UsageLineSerializer(many=True)

    def get_charged(self, usage: Any) -> bool:
        """Whether it is on the invoice."""
        return not usage.is_lost


class AppliedLimitSerializer(serializers.Serializer[Any]):
    """A limit that admission looked at."""

    name = serializers.CharField()
    unit = serializers.ChoiceField(choices=["requests", "tokens", "money"])
    limit = ExactField()
    left = ExactField(help_text="With this call let in and what it holds taken away.")


class ShadowRefusalSerializer(serializers.Serializer[Any]):
    """What a policy in shadow would have refused."""

    level = serializers.CharField(
        help_text="Whose policy: tenant, service_account, member, parent_key or key."
    )
    version = serializers.IntegerField()
    rule = serializers.CharField()
    said = serializers.CharField()


class ContentSerializer(serializers.Serializer[Any]):
    """What a call asked and was answered, as it was sent and shown, after redaction."""

    call_id = serializers.UUIDField()
    request = serializers.CharField(help_text="The request's body.")
    answer = serializers.CharField(help_text="The answer's body, or its events.")
    answer_is_cut = serializers.BooleanField(help_text="Whether it was longer than what is kept (1 MiB).")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class PromptUseSerializer(serializers.Serializer[Any]):
    """The prompt that a call used."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    version = serializers.IntegerField()


class ExplanationSerializer(serializers.Serializer[Any]):
    """Why the call went where it went."""

    targets = serializers.ListField(child=serializers.CharField(), help_text="Where it could go, in order.")
    skipped = serializers.ListField(
        child=serializers.CharField(), help_text="Left alone because they kept failing."
    )
    limits = AppliedLimitSerializer(many=True)
    held = ExactField(allow_null=True, help_text="The most it could have come to, held until it was settled.")
    asked_output_tokens = serializers.IntegerField(
        allow_null=True, help_text="Null unless the output was clamped to what the budget allowed."
    )
    granted_output_tokens = serializers.IntegerField(allow_null=True)
    would_have_refused = serializers.ListField(
        child=serializers.CharField(), help_text="Limits in shadow that would have refused this call."
    )
    checked_without_valkey = serializers.BooleanField(
        help_text="True while limits on throughput could not be checked and the plan lets calls through then."
    )
    refusal = serializers.CharField(help_text="Why it was refused or failed, in words; mostly empty.")
    shadowed = ShadowRefusalSerializer(many=True)
    found = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()),
        help_text="What the data boundary found: by direction (`request`, `response`) and class, how many.",
    )
    blocked = serializers.ListField(
        child=serializers.CharField(), help_text="The classes for which the data boundary stopped the call."
    )
    uninspected = serializers.ListField(
        child=serializers.CharField(),
        help_text="Directions that could not be inspected and were let through.",
    )
    repeats = serializers.UUIDField(
        allow_null=True,
        help_text="The call whose answer this one got from memory (`usage_source` is `cache`).",
    )
    prompt = PromptUseSerializer(allow_null=True)


class CallDetailSerializer(serializers.Serializer[Any]):
    """A call with everything that came of it."""

    call = CallSerializer()
    attempts = AttemptSerializer(many=True)
    usage = UsageEventSerializer(many=True)
    explanation = ExplanationSerializer()


def usage_answer(report: UsageReport, names: dict[str, dict[Any, str]]) -> dict[str, Any]:
    """A report as it is answered, keys and owners with their names."""
    return {
        "from": report.period.starts_at,
        "to": report.period.ends_at,
        "data": [_row(row, names) for row in report.rows],
        "totals": report.totals,
    }


def _row(row: UsageRow, names: dict[str, dict[Any, str]]) -> dict[str, Any]:
    group: dict[str, Any] = {}
    for name, value in row.group.items():
        group[name] = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
        if name in names:
            group[f"{name}_name"] = names[name].get(value, "")
    whole = row.consumed
    sums = ("currency", "price", "calls", "input_tokens", "cached_tokens", "output_tokens", "quantities")
    return {"group": group} | {name: getattr(whole, name) for name in sums}
