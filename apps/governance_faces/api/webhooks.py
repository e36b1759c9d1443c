"""Endpoints of webhooks."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from apps.governance import selectors, services
from apps.governance_faces.api.bodies import body_of, query_of
from apps.keys.rest import ApiRequest, CursorPage, StrictSerializer, TenantAPIView, describes, page_of

_DAY, _MOST_OVERLAP = 86_400, 7 * 86_400


class NoBody(StrictSerializer):
    """Nothing."""


class CreateWebhook(StrictSerializer):
    """An endpoint to be told of events."""

    url = serializers.CharField(max_length=500, help_text="https, on the public internet, port 443 or 8443.")
    events = serializers.ListField(
        child=serializers.CharField(max_length=60),
        min_length=1,
        max_length=100,
        help_text="Names of events, areas such as `key.*`, or `*` for all but `audit.entry`.",
    )
    description = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)


class ChangeWebhook(StrictSerializer):
    """What is not given stays."""

    url = serializers.CharField(required=False, max_length=500)
    events = serializers.ListField(
        required=False, child=serializers.CharField(max_length=60), min_length=1, max_length=100
    )
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)


class RotateSecret(StrictSerializer):
    """How long the old secret signs as well."""

    overlap_seconds = serializers.IntegerField(
        required=False, default=_DAY, min_value=0, max_value=_MOST_OVERLAP
    )


class Replay(StrictSerializer):
    """What to send again: failed deliveries since a moment, or the audit log from after an entry on."""

    since = serializers.DateTimeField(required=False, help_text="Failed deliveries of events from then on.")
    audit_after = serializers.IntegerField(
        required=False, min_value=0, max_value=2**53, help_text="The last audit entry not to be sent again."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two."""
        if len(attrs) != 1:
            raise serializers.ValidationError("Give `since` or `audit_after`, and only one of them.")
        return attrs


class AttemptSerializer(serializers.Serializer[Any]):
    """One attempt."""

    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="null: there was no answer.")
    milliseconds = serializers.IntegerField()
    error = serializers.CharField()
    excerpt = serializers.CharField(help_text="The beginning of the answer, at most 500 characters.")


class AuditAttemptSerializer(AttemptSerializer):
    """One attempt at an entry of the audit log."""

    sequence = serializers.IntegerField(allow_null=True)


class WebhookSerializer(serializers.Serializer[Any]):
    """An endpoint, without its secret."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=["enabled", "disabled"])
    disabled_because = serializers.ChoiceField(choices=["", "by_hand", "failing", "gone"])
    disabled_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when it has accepted nothing; null while it works."
    )
    failures = serializers.IntegerField(help_text="Failed attempts since the last accepted one.")
    previous_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then the secret before the last rotation signs as well."
    )
    audit_after = serializers.IntegerField(
        allow_null=True, help_text="The last audit entry that it accepted; null where it is not told of any."
    )
    audit_attempts = AuditAttemptSerializer(many=True)


class NewWebhookSerializer(serializers.Serializer[Any]):
    """An endpoint, and its secret, which is shown this once."""

    endpoint = WebhookSerializer()
    secret = serializers.CharField(help_text="`whsec_` and base64; verify signatures with it.")


class DeliveryQuery(StrictSerializer):
    """Which deliveries."""

    state = serializers.ChoiceField(
        required=False,
        default="",
        choices=["waiting", "delivered", "failed"],
        help_text="Only in this state.",
    )


class DeliverySerializer(serializers.Serializer[Any]):
    """One event for one endpoint, with its latest attempts, newest first."""

    id = serializers.UUIDField()
    webhook_id = serializers.CharField(help_text="The header `webhook-id`: the same for each attempt.")
    event_type = serializers.CharField()
    at = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=["waiting", "delivered", "failed"])
    tries = serializers.IntegerField(help_text="Of this round; sending it again begins another.")
    due_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts = AttemptSerializer(many=True)
    payload = serializers.DictField(help_text="`data` of the message.")


class SentSerializer(serializers.Serializer[Any]):
    """The event that was written."""

    webhook_id = serializers.CharField()


class ReplayedSerializer(serializers.Serializer[Any]):
    """How many deliveries wait again; null where it was the audit log."""

    deliveries = serializers.IntegerField(allow_null=True)


class WebhookView(TenantAPIView):
    """What all of them share."""

    feature = "webhooks"


class WebhookList(WebhookView):
    """The tenant's endpoints."""

    scopes = {"GET": "webhooks:read", "POST": "webhooks:write"}

    @describes(page_of(WebhookSerializer), name="webhooks_list", tag="webhooks")
    def get(self, request: ApiRequest) -> Response:
        """Endpoints, newest first."""
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.webhook_endpoints(
                before=UUID(after) if after else None, limit=limit
            ),
            position=lambda endpoint: endpoint.id,
            show=WebhookSerializer,
        )

    @describes(
        NewWebhookSerializer, body=CreateWebhook, status=201, name="webhooks_create", tag="webhooks",
        asks={"Keys and invoices": {"url": "https://hooks.example.com/lockstep", "events": ["key.*", "invoice.paid"]}},
    )  # fmt: skip
    def post(self, request: ApiRequest) -> Response:
        """Make an endpoint. The answer is the only time its secret is shown."""
        made = services.create_webhook(actor=request.actor, **body_of(CreateWebhook, request))
        return Response(
            NewWebhookSerializer(made).data,
            status=201,
            headers={"Location": f"/api/v1/webhooks/{made.endpoint.id}"},
        )


class WebhookOne(WebhookView):
    """One endpoint."""

    scopes = {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @describes(WebhookSerializer, name="webhooks_get", tag="webhooks")
    def get(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """An endpoint, how it does, and its latest attempts at the audit log."""
        return Response(WebhookSerializer(selectors.webhook_endpoint(endpoint_id)).data)

    @describes(WebhookSerializer, body=ChangeWebhook, name="webhooks_change", tag="webhooks")
    def patch(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Change its address, events or description. What waits goes to the new address."""
        body = body_of(ChangeWebhook, request)
        return Response(
            WebhookSerializer(services.change_webhook(endpoint_id, actor=request.actor, **body)).data
        )

    @describes(None, status=204, name="webhooks_delete", tag="webhooks")
    def delete(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Delete an endpoint and what is known of its deliveries."""
        services.delete_webhook(endpoint_id, actor=request.actor)
        return Response(status=204)


class WebhookEnabling(WebhookView):
    """Sending again."""

    scopes = {"POST": "webhooks:write"}

    @describes(WebhookSerializer, body=NoBody, name="webhooks_enable", tag="webhooks")
    def post(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Send to a disabled endpoint again, from now on; the audit log from where it stopped."""
        body_of(NoBody, request)
        return Response(WebhookSerializer(services.enable_webhook(endpoint_id, actor=request.actor)).data)


class WebhookDisabling(WebhookView):
    """Pausing."""

    scopes = {"POST": "webhooks:write"}

    @describes(WebhookSerializer, body=NoBody, name="webhooks_disable", tag="webhooks")
    def post(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Send nothing more; what waits is kept as failed."""
        body_of(NoBody, request)
        return Response(WebhookSerializer(services.disable_webhook(endpoint_id, actor=request.actor)).data)


class WebhookRotation(WebhookView):
    """A new secret."""

    scopes = {"POST": "webhooks:write"}

    @describes(
        NewWebhookSerializer, body=RotateSecret, status=201, name="webhooks_rotate_secret", tag="webhooks"
    )
    def post(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Make a new secret, shown this once. For the overlap messages are signed with both."""
        overlap = timedelta(seconds=body_of(RotateSecret, request)["overlap_seconds"])
        made = services.rotate_webhook_secret(endpoint_id, actor=request.actor, overlap=overlap)
        return Response(NewWebhookSerializer(made).data, status=201)


class WebhookTesting(WebhookView):
    """Trying it."""

    scopes = {"POST": "webhooks:write"}

    @describes(SentSerializer, body=NoBody, status=202, name="webhooks_test", tag="webhooks")
    def post(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Send `webhook.test`. Whether it was accepted is among the deliveries a moment later."""
        body_of(NoBody, request)
        event = services.send_webhook_test(endpoint_id, actor=request.actor)
        return Response({"webhook_id": f"evt_{event.hex}"}, status=202)


class WebhookReplay(WebhookView):
    """Sending again what failed."""

    scopes = {"POST": "webhooks:write"}

    @describes(ReplayedSerializer, body=Replay, status=202, name="webhooks_replay", tag="webhooks")
    def post(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Send again what failed since a moment (up to 1000), or the audit log from an entry on."""
        body = body_of(Replay, request)
        if "audit_after" in body:
            services.replay_webhook_audit(endpoint_id, after=body["audit_after"], actor=request.actor)
            return Response({"deliveries": None}, status=202)
        many = services.replay_failed_webhooks(endpoint_id, since=body["since"], actor=request.actor)
        return Response({"deliveries": many}, status=202)


class WebhookDeliveries(WebhookView):
    """What an endpoint was told."""

    scopes = {"GET": "webhooks:read"}

    @describes(page_of(DeliverySerializer), query=DeliveryQuery, name="webhooks_deliveries", tag="webhooks")
    def get(self, request: ApiRequest, endpoint_id: UUID) -> Response:
        """Deliveries of the last 30 days, newest first, with each attempt."""
        query = query_of(DeliveryQuery, request)
        selectors.webhook_endpoint(endpoint_id)
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.webhook_deliveries(
                endpoint_id, before=UUID(after) if after else None, limit=limit, **query
            ),
            position=lambda delivery: delivery.id,
            show=DeliverySerializer,
        )


class WebhookRedelivery(WebhookView):
    """Sending one event again."""

    scopes = {"POST": "webhooks:write"}

    @describes(DeliverySerializer, body=NoBody, status=202, name="webhooks_redeliver", tag="webhooks")
    def post(self, request: ApiRequest, endpoint_id: UUID, delivery_id: UUID) -> Response:
        """Send it again under the same `webhook-id`, with all its tries."""
        body_of(NoBody, request)
        services.replay_webhook_delivery(endpoint_id, delivery_id, actor=request.actor)
        return Response(
            DeliverySerializer(selectors.webhook_delivery(endpoint_id, delivery_id)).data, status=202
        )
