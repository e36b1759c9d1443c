"""Endpoints of the data boundary."""

import time
from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from apps.governance.content import keys as content_keys
from apps.governance.data_boundary import settings as boundaries
from apps.governance.data_boundary.classes import Action, DataClass
from apps.governance.data_boundary.errors import OutOfTime, UnreadableText
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.scanning import Scanner
from apps.governance.gates import EveryPlan
from apps.keys.rest import ApiRequest, StrictSerializer, TenantAPIView, describes

_ACTIONS = [each.value for each in Action]
_STAYS = EveryPlan("a boundary that was set goes on to protect, so it can always be seen")
_TRY_SECONDS = 2


class BoundarySerializer(StrictSerializer):
    """What is done about personal data and secrets in calls."""

    request = serializers.DictField(
        child=serializers.ChoiceField(choices=_ACTIONS), required=False, default=dict,
        help_text=f"By class ({', '.join(DataClass)}): allow (count), redact or block. Others are not looked for.",
    )  # fmt: skip
    response = serializers.DictField(
        child=serializers.ChoiceField(choices=_ACTIONS), required=False, default=dict
    )
    restore = serializers.BooleanField(
        required=False, default=False, help_text="Turn a request's placeholders back in its answer."
    )
    on_failure = serializers.ChoiceField(
        choices=["block", "allow"], required=False, default="block", help_text="For what cannot be inspected."
    )
    phone_regions = serializers.ListField(
        child=serializers.CharField(max_length=2), required=False, default=["US"], max_length=20
    )
    retention_days = serializers.IntegerField(
        min_value=1, max_value=3650, allow_null=True, required=False, default=None,
        help_text="For how many days prompts and answers are kept, encrypted; null: not at all.",
    )  # fmt: skip


class BoundaryInForce(serializers.Serializer[Any]):
    """A tenant's own settings, and what holds with what the operator requires."""

    version = serializers.IntegerField(help_text="0 until it is first set.")
    settings = BoundarySerializer()
    in_force = BoundarySerializer(allow_null=True, help_text="Null where there is nothing to do.")


class TryText(StrictSerializer):
    """A text to look through."""

    text = serializers.CharField(max_length=20_000, trim_whitespace=False)


class FoundSerializer(serializers.Serializer[Any]):
    """What would be found."""

    counts = serializers.DictField(child=serializers.IntegerField())
    findings = serializers.ListField(child=serializers.DictField(), help_text="`class`, `start`, `end`.")


def shown() -> dict[str, Any]:
    """The boundary as it is answered."""
    own, in_force = boundaries.own_boundary(), boundaries.boundary_in_force()
    return {
        "version": own.version,
        "settings": own.to_json(),
        "in_force": in_force.to_json() if in_force else None,
    }


def found_in(text: str) -> dict[str, Any]:
    """What all classes find in a text, as the tenant's regions have it. Nothing is kept."""
    scanner = Scanner(dict.fromkeys(DataClass, 1), boundaries.own_boundary().phone_regions)
    try:
        found = scanner.scan(text, deadline=time.monotonic() + _TRY_SECONDS)
    except OutOfTime:
        raise UnreadableText from None
    counts: dict[str, int] = {}
    for each in found:
        counts[each.kind.value] = counts.get(each.kind.value, 0) + 1
    findings = [{"class": each.kind.value, "start": each.start, "end": each.end} for each in found]
    return {"counts": counts, "findings": findings}


class DataBoundaryView(TenantAPIView):
    """The tenant's data boundary."""

    scopes = {"GET": "settings:read", "PUT": "settings:write"}
    feature = {"GET": _STAYS, "PUT": "data_boundary"}

    @describes(BoundaryInForce, name="data_boundary_get", tag="data boundary")
    def get(self, request: ApiRequest) -> Response:
        """What is done about personal data and secrets, as it was set and as it holds."""
        return Response(BoundaryInForce(shown()).data)

    @describes(BoundaryInForce, body=BoundarySerializer, name="data_boundary_set", tag="data boundary")
    def put(self, request: ApiRequest) -> Response:
        """Replace it. It holds from the next request on."""
        given = BoundarySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        boundaries.save_boundary(Boundary.from_json(given.validated_data), actor=request.actor)
        return Response(BoundaryInForce(shown()).data)


class DataBoundaryTry(TenantAPIView):
    """Trying the detectors."""

    scopes = {"POST": "settings:read"}
    feature = "data_boundary"

    @describes(FoundSerializer, body=TryText, name="data_boundary_try", tag="data boundary")
    def post(self, request: ApiRequest) -> Response:
        """What every class would find in a text. The text is not kept."""
        given = TryText(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(found_in(given.validated_data["text"]))


class KeysSerializer(serializers.Serializer[Any]):
    """What became of the keys of kept content."""

    data_key = serializers.IntegerField(required=False, help_text="The number of the key that encrypts now.")
    keys_destroyed = serializers.IntegerField(required=False)


class RotateContentKey(TenantAPIView):
    """The data key of kept content."""

    scopes = {"POST": "settings:write"}
    feature = "data_boundary"

    @describes(KeysSerializer, name="content_rotate_key", tag="data boundary")
    def post(self, request: ApiRequest) -> Response:
        """Encrypt under a new data key from the next call on."""
        return Response({"data_key": content_keys.rotate_key(actor=request.actor)})


class ShredContent(TenantAPIView):
    """Destroying kept content."""

    scopes = {"POST": "settings:write"}
    feature = EveryPlan("a tenant can always destroy what is kept of it")
    while_suspended = True

    @describes(KeysSerializer, name="content_shred", tag="data boundary")
    def post(self, request: ApiRequest) -> Response:
        """Destroy the data keys: what was kept of prompts and answers can never be read again."""
        return Response({"keys_destroyed": content_keys.shred(actor=request.actor)})
