"""The endpoint of the tenant's rule for answers from memory."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from apps.ai_usage import selectors as ai_usage
from apps.governance import selectors, services
from apps.governance.gates import EveryPlan
from apps.governance.types import AnswerCacheRule
from apps.keys.rest import ApiRequest, StrictSerializer, TenantAPIView, describes


class AnswerCacheSerializer(StrictSerializer):
    """The rule, and what a repeated answer costs."""

    enabled = serializers.BooleanField(help_text="Whether identical requests are answered from memory.")
    seconds = serializers.IntegerField(min_value=1, help_text="How long an answer may be repeated.")
    models = serializers.ListField(
        child=serializers.CharField(max_length=120),
        required=False,
        default=list,
        max_length=100,
        help_text="Public names of the models concerned; empty: every one.",
    )
    price_percent = serializers.IntegerField(
        read_only=True, help_text="What a repeated answer costs, in per cent of a call's price."
    )


class AnswerCacheView(TenantAPIView):
    """The tenant's rule for answers from memory."""

    scopes = {"GET": "settings:read", "PUT": "settings:write"}
    feature = EveryPlan("what a repeated answer costs is the plan's, whether there is one is the tenant's")

    @describes(AnswerCacheSerializer, name="answer_cache_get", tag="settings")
    def get(self, request: ApiRequest) -> Response:
        """Whether answers to identical requests are repeated, for how long and of which models."""
        return Response(_shown(selectors.answer_cache()))

    @describes(AnswerCacheSerializer, body=AnswerCacheSerializer, name="answer_cache_set", tag="settings")
    def put(self, request: ApiRequest) -> Response:
        """Change it, from the next request on. Answers kept until then are not used again."""
        body = AnswerCacheSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        rule = services.set_answer_cache(actor=request.actor, **body.validated_data)
        return Response(_shown(rule))


def _shown(rule: AnswerCacheRule) -> dict[str, Any]:
    percent = ai_usage.cached_answer_percent(selectors.entitlements())
    said = {"enabled": rule.enabled, "seconds": rule.seconds, "models": list(rule.models)}
    return said | {"price_percent": percent}
