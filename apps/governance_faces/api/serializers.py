"""What the API of policies takes and answers."""

from typing import Any

from rest_framework import serializers

from apps.ai_usage.types import Endpoint
from apps.governance.policies.records import LEVELS
from apps.keys.rest import StrictSerializer

_ENDPOINTS = [each.value for each in Endpoint]


class RulesField(serializers.JSONField):
    """The rules of a policy (docs/policies.md); the service says what is wrong with them."""


class PolicyVersionSerializer(serializers.Serializer[Any]):
    """One version of a policy. It never changes."""

    level = serializers.ChoiceField(choices=list(LEVELS))
    subject_id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(source="number")
    mode = serializers.ChoiceField(
        choices=["enforced", "shadow", "off"], help_text="`off`: the policy was taken away."
    )
    rules = serializers.SerializerMethodField()
    note = serializers.CharField()
    restored_from = serializers.IntegerField(allow_null=True)
    author_kind = serializers.CharField()
    author_name = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_rules(self, record: Any) -> dict[str, Any]:
        """The rules as they are sent."""
        said: dict[str, Any] = record.rules.to_json()
        return said


class PolicySerializer(serializers.Serializer[Any]):
    """How the policy of one subject stands."""

    level = serializers.ChoiceField(choices=list(LEVELS))
    subject_id = serializers.UUIDField(allow_null=True)
    subject_name = serializers.SerializerMethodField()
    newest_version = serializers.IntegerField(source="newest.number")
    enforced = PolicyVersionSerializer(allow_null=True, help_text="What is in force; null: nothing.")
    shadow = PolicyVersionSerializer(
        allow_null=True,
        help_text="A newer version that refuses nothing and writes down what it would refuse.",
    )

    def get_subject_name(self, standing: Any) -> str:
        """What the subject is called; empty for one that is gone."""
        names: dict[Any, str] = self.context.get("names", {})
        return names.get(standing.subject_id, "")


class SavePolicy(StrictSerializer):
    """A new version of a policy."""

    rules = RulesField()
    mode = serializers.ChoiceField(choices=["enforced", "shadow"], default="enforced")
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)
    based_on = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="The newest version you saw (0: none); another one meanwhile is a 409.",
    )


class RestorePolicy(StrictSerializer):
    """Rolling back."""

    mode = serializers.ChoiceField(choices=["enforced", "shadow"], default="enforced")
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)
    based_on = serializers.IntegerField(required=False, min_value=0)


class BoundsSerializer(serializers.Serializer[Any]):
    """What the operator allows at most."""

    version = serializers.IntegerField(allow_null=True, source="number")
    is_default = serializers.BooleanField(help_text="They are those of every tenant without its own.")
    rules = serializers.SerializerMethodField()

    def get_rules(self, bounds: Any) -> dict[str, Any]:
        """The rules; empty where nothing is bounded."""
        said: dict[str, Any] = bounds.rules.to_json()
        return said


class TryPolicy(StrictSerializer):
    """Rules to be tried on calls that were made."""

    level = serializers.ChoiceField(choices=list(LEVELS), default="tenant")
    subject_id = serializers.UUIDField(required=False, allow_null=True, default=None)
    rules = RulesField()
    calls = serializers.IntegerField(required=False, default=1000, min_value=1, max_value=10_000)


class TrialExampleSerializer(serializers.Serializer[Any]):
    """A call that would have been refused."""

    call_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    model = serializers.CharField()
    rule = serializers.CharField()
    said = serializers.CharField()


class CountsField(serializers.DictField):
    """Calls by rule."""

    child = serializers.IntegerField()


class TrialSerializer(serializers.Serializer[Any]):
    """What the rules would have done to the tenant's newest calls, by the catalogue as it is now."""

    looked_at = serializers.IntegerField(help_text="The newest calls of the tenant.")
    concerned = serializers.IntegerField(help_text="Those of them that are the subject's.")
    already_refused = serializers.IntegerField(help_text="Refused anyway, and not tried.")
    would_refuse = serializers.IntegerField()
    would_be_cut = serializers.IntegerField(
        help_text="Answers with more tokens than would be let through, of callers who named no limit."
    )
    would_move = serializers.IntegerField(help_text="Answered by a provider that would be left out.")
    refused_by = CountsField(help_text="Calls by rule; one call may be in several.")
    not_judged = CountsField(
        help_text="Calls of which a rule could not be judged: the record does not hold what it looks at."
    )
    examples = TrialExampleSerializer(many=True)
    looser_than_bound = serializers.ListField(
        child=serializers.DictField(), help_text="Why these rules could not be saved; mostly empty."
    )


class ShadowCountSerializer(serializers.Serializer[Any]):
    """What a version in shadow would have refused, of at most the 10,000 newest calls of the tenant."""

    version = serializers.IntegerField()
    since = serializers.DateTimeField()
    looked_at = serializers.IntegerField()
    would_refuse = serializers.IntegerField()
    refused_by = CountsField()


class ExplainRequest(StrictSerializer):
    """A request that nobody makes. With a `body` that is the request; otherwise one is made of the other members."""

    key_id = serializers.UUIDField()
    endpoint = serializers.ChoiceField(choices=_ENDPOINTS, default=Endpoint.CHAT_COMPLETIONS.value)
    model = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)
    max_output_tokens = serializers.IntegerField(required=False, allow_null=True, default=None)
    tools = serializers.ListField(
        child=serializers.JSONField(),
        required=False,
        default=list,
        max_length=128,
        help_text="Names of functions, or tools as the endpoint takes them.",
    )
    stream = serializers.BooleanField(required=False, default=False)
    background = serializers.BooleanField(required=False, default=False)
    prompt_ref = serializers.CharField(
        required=False, allow_null=True, default=None, max_length=120, help_text="An approved prompt."
    )
    at = serializers.DateTimeField(
        required=False,
        help_text="Another moment than now, for hours, prices and expiry. Limits are those of now.",
    )
    address = serializers.IPAddressField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Where it comes from; not looked at if absent.",
    )
    host = serializers.CharField(required=False, default="", allow_blank=True, max_length=253)
    body = serializers.JSONField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The request itself, as an object or as text.",
    )


class ExplainedRuleSerializer(serializers.Serializer[Any]):
    """One rule that was put."""

    rule = serializers.CharField()
    answer = serializers.ChoiceField(choices=["passed", "refused", "would_refuse"])
    said = serializers.CharField()
    level = serializers.CharField(help_text="Whose policy; empty for rules that are not of a policy.")
    version = serializers.IntegerField(allow_null=True)
    is_shadow = serializers.BooleanField()


class ExplainedLimitSerializer(serializers.Serializer[Any]):
    """One limit or budget, as it stands before the request."""

    name = serializers.CharField()
    unit = serializers.ChoiceField(choices=["requests", "tokens", "calls", "money"])
    limit = serializers.SerializerMethodField()
    remaining = serializers.SerializerMethodField()
    reserved = serializers.SerializerMethodField()
    resets_at = serializers.FloatField(allow_null=True, help_text="Unix seconds.")
    is_hard = serializers.BooleanField(help_text="False: it only tells.")
    refuses = serializers.BooleanField()

    def get_limit(self, standing: Any) -> str:
        """Exact, as text."""
        return f"{standing.limit:f}"

    def get_remaining(self, standing: Any) -> str:
        """Exact, as text; what calls under way hold is taken off."""
        return f"{standing.remaining:f}"

    def get_reserved(self, standing: Any) -> str | None:
        """What calls under way hold of a budget."""
        return None if standing.reserved is None else f"{standing.reserved:f}"


class ExplainedSerializer(serializers.Serializer[Any]):
    """What the gateway would answer, and why."""

    allowed = serializers.BooleanField()
    code = serializers.CharField(help_text="What `x-lockstep-code` would say; empty if it is let through.")
    status = serializers.IntegerField()
    message = serializers.CharField()
    targets = serializers.ListField(child=serializers.CharField(), help_text="Where it could go.")
    granted_output_tokens = serializers.IntegerField(allow_null=True)
    checked_without_valkey = serializers.BooleanField()
    rules = ExplainedRuleSerializer(many=True)
    limits = ExplainedLimitSerializer(many=True, help_text="Looked at once no rule refuses.")
