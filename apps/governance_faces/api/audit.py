"""Endpoints of the audit log: looking through it, taking it out, holding it."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.governance import selectors, services
from apps.governance.gates import EveryPlan
from apps.governance.selectors import AuditSearch
from apps.governance.types import ActorKind
from apps.governance_faces import exporting
from apps.governance_faces.api.bodies import body_of, query_of
from apps.keys.rest import ApiRequest, CursorPage, StrictSerializer, TenantAPIView, describes, page_of


def _text(words: str, most: int = 200) -> serializers.CharField:
    return serializers.CharField(
        required=False, default="", allow_blank=True, max_length=most, help_text=words
    )


class AuditQuery(StrictSerializer):
    """Which entries; what is not given does not narrow."""

    action = _text("An action, or its beginning such as `key.`.", 60)
    actor = _text("Part of the name of who acted, or the whole id.")
    actor_kind = serializers.ChoiceField(
        required=False, default="", choices=[kind.value for kind in ActorKind], help_text="Who can act."
    )
    target_kind = _text("What was changed, such as `key`.", 40)
    target_id = _text("The id of what was changed.", 64)
    request_id = _text("`X-Request-ID` of the answer to the request that did it.", 64)
    address = _text("The network address it came from.", 45)
    text = _text("Found in the action, names, ids or details.")
    since = serializers.DateTimeField(required=False, default=None, help_text="From this moment on.")
    until = serializers.DateTimeField(required=False, default=None, help_text="Before this moment.")


class AuditExportQuery(AuditQuery):
    """Which entries, and in which form."""

    form = serializers.ChoiceField(
        required=False,
        default="jsonl",
        choices=exporting.FORMS,
        help_text="`csv` for spreadsheets, or `jsonl`.",
    )


class AuditEntrySerializer(serializers.Serializer[Any]):
    """One thing that somebody did."""

    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()
    action = serializers.CharField()
    actor_kind = serializers.CharField()
    actor_id = serializers.CharField()
    actor_name = serializers.CharField()
    target_kind = serializers.CharField()
    target_id = serializers.CharField()
    details = serializers.DictField()
    request_id = serializers.CharField()
    address = serializers.CharField()


class HoldBody(StrictSerializer):
    """Why the log is held."""

    reason = serializers.CharField(max_length=300, help_text="Shown beside the log while the hold stands.")


class HoldSerializer(serializers.Serializer[Any]):
    """A hold: nothing is removed from the log while it stands."""

    by_operator = serializers.BooleanField(help_text="Set by the operator, who alone can lift it.")
    reason = serializers.CharField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()


class HoldsSerializer(serializers.Serializer[Any]):
    """What keeps the log."""

    keep_days = serializers.IntegerField(
        allow_null=True, help_text="How long the plan keeps entries; null: for ever."
    )
    holds = HoldSerializer(many=True)


def _holds() -> Response:
    return Response(
        HoldsSerializer({"keep_days": selectors.limit("audit_days"), "holds": selectors.audit_holds()}).data
    )


class AuditLog(TenantAPIView):
    """What was done in this tenant, and by whom."""

    scopes = {"GET": "audit:read"}
    feature = "audit_log"

    @describes(page_of(AuditEntrySerializer), query=AuditQuery, name="audit_list", tag="audit")
    def get(self, request: ApiRequest) -> Response:
        """Entries, newest first, what operators did here included."""
        wanted = AuditSearch(**query_of(AuditQuery, request))
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.search_audit(
                wanted, before=int(after) if after else None, limit=limit
            ),
            position=lambda entry: entry.sequence,
            show=AuditEntrySerializer,
        )


class AuditExport(TenantAPIView):
    """The log as a file."""

    scopes = {"GET": "audit:read"}
    feature = "audit_log"

    @extend_schema(
        parameters=[AuditExportQuery],
        responses={(200, "application/jsonl"): OpenApiTypes.STR, (200, "text/csv"): OpenApiTypes.STR},
        operation_id="audit_export",
        tags=["audit"],
    )
    def get(self, request: ApiRequest) -> Any:
        """Up to 100,000 entries, newest first, streamed. The export is an entry itself: `audit.exported`."""
        query = query_of(AuditExportQuery, request)
        form = query.pop("form")
        return exporting.export(request, AuditSearch(**query), form, actor=request.actor)


class AuditHoldView(TenantAPIView):
    """The tenant's legal hold."""

    scopes = {"GET": "audit:read", "PUT": "settings:write", "DELETE": "settings:write"}
    feature = EveryPlan("whoever must keep evidence keeps it")

    @describes(HoldsSerializer, name="audit_hold_get", tag="audit")
    def get(self, request: ApiRequest) -> Response:
        """How long entries are kept, and the holds that stand."""
        return _holds()

    @describes(HoldsSerializer, body=HoldBody, name="audit_hold_set", tag="audit")
    def put(self, request: ApiRequest) -> Response:
        """Hold the log: nothing is removed from it, whatever the plan says."""
        services.set_audit_hold(actor=request.actor, **body_of(HoldBody, request))
        return _holds()

    @describes(HoldsSerializer, name="audit_hold_lift", tag="audit")
    def delete(self, request: ApiRequest) -> Response:
        """Lift the tenant's own hold. The operator's stays."""
        services.lift_audit_hold(actor=request.actor)
        return _holds()
