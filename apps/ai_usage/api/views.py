"""Endpoints of usage and calls."""

from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from apps.ai_usage.api.examples import CALL_PAGE, USAGE
from apps.ai_usage.api.queries import CallQuery, UsageQuery, asked_calls, asked_period, asked_usage, query_of
from apps.ai_usage.api.serializers import (
    CallDetailSerializer,
    CallSerializer,
    ContentSerializer,
    UsageSerializer,
    usage_answer,
)
from apps.ai_usage.insight.calls import call_detail, calls, parse_position, position_of
from apps.ai_usage.insight.naming import names_in
from apps.ai_usage.insight.snapshot import one_moment
from apps.ai_usage.insight.types import CallRecord
from apps.ai_usage.insight.usage import usage
from apps.governance.content.reading import read_content
from apps.governance.gates import EveryPlan
from apps.keys.rest import ApiRequest, CursorPage, TenantAPIView, describes, page_of

_EVERY_PLAN = EveryPlan("whoever pays may see for what")


class UsageView(TenantAPIView):
    """The tenant's usage."""

    scopes = {"GET": "usage:read"}
    feature = _EVERY_PLAN

    @describes(UsageSerializer, query=UsageQuery, name="usage_get", tag="usage", examples={"By model": USAGE})
    def get(self, request: ApiRequest) -> Response:
        """What was consumed in a period and what it comes to, exactly, up to the last call that ended."""
        query = query_of(UsageQuery, request)
        period = asked_period(query, timezone.now())
        with one_moment():
            report = usage(period, group_by=query["group_by"], only=asked_usage(query))
        return Response(UsageSerializer(usage_answer(report, names_in(report))).data)


class CallList(TenantAPIView):
    """The tenant's calls."""

    scopes = {"GET": "calls:read"}
    feature = _EVERY_PLAN

    @describes(
        page_of(CallSerializer),
        query=CallQuery,
        name="calls_list",
        tag="calls",
        examples={"A page": CALL_PAGE},
    )
    def get(self, request: ApiRequest) -> Response:
        """Calls, newest first, those that were refused included."""
        only = asked_calls(query_of(CallQuery, request))
        return CursorPage(request).answer(
            fetch=lambda after, limit: calls(
                only, beyond=parse_position("started_at", *after.split()) if after else None, limit=limit
            ),
            position=_place,
            show=CallSerializer,
        )


class CallOne(TenantAPIView):
    """One call."""

    scopes = {"GET": "calls:read"}
    feature = _EVERY_PLAN

    @describes(CallDetailSerializer, name="calls_get", tag="calls")
    def get(self, request: ApiRequest, call_id: UUID) -> Response:
        """Where a call went and why, what it consumed, and how its price comes about."""
        return Response(CallDetailSerializer(call_detail(call_id)).data)


class CallContent(TenantAPIView):
    """What was kept of one call."""

    scopes = {"GET": "content:read"}
    feature = EveryPlan("what was kept can be read until its days are over")

    @describes(ContentSerializer, name="calls_content", tag="calls")
    def get(self, request: ApiRequest, call_id: UUID) -> Response:
        """Prompt and answer of a call, after redaction. The reading is recorded in the audit log."""
        return Response(ContentSerializer(read_content(call_id, actor=request.actor)).data)


def _place(call: CallRecord) -> str:
    at = position_of(call)
    return f"{at.value.isoformat()} {at.id}"
