"""Reports of secrets found in public: one form for everybody, and one for scanning partners, who sign."""

import base64
import binascii
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.conf import settings
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.governance.gates import EveryPlan
from apps.governance.types import Actor, ActorKind
from apps.keys import services
from apps.keys.api.keys import body_of
from apps.keys.api.serializers import PartnerFinding, ReportLeak, ReportReceived
from apps.keys.errors import InvalidReport
from apps.keys.rest import describes, limits

_RECEIVED = {"received": True}
_MOST_FINDINGS = 1000


class OpenAPIView(APIView):
    """A view that needs no key, because whoever found one has none; bounded by address."""

    feature = EveryPlan("whoever finds a key may report it; nobody's plan is asked")
    authentication_classes: list[type] = []
    permission_classes: list[type] = []
    http_method_names = ["post"]


class LeakReport(OpenAPIView):
    """I found a key."""

    open_because = "whoever finds a key in public has no key of ours"

    @describes(ReportReceived, body=ReportLeak, name="leaks_report", tag="leaks")
    def post(self, request: Any) -> Response:
        """Report a key found in public. It is revoked if it is one; the answer is the same either way."""
        address = request._request.address
        limits.count("leaks", address, limit=settings.LEAK_REPORTS_PER_MINUTE)
        body = body_of(ReportLeak, request)
        services.report_leak(body["key"], actor=_reporter("Public report", request), where=body["where"])
        return Response(_RECEIVED)


class PartnerLeakReport(OpenAPIView):
    """Findings of a partner's scanner, in the form that GitHub's secret scanning sends."""

    open_because = "the partner's signature is the proof"

    @describes(ReportReceived, body=PartnerFinding(many=True), name="leaks_partner_report", tag="leaks")
    def post(self, request: Any) -> Response:
        """Report up to 1,000 findings, signed with ECDSA P-256 over the body.

        `Github-Public-Key-Identifier` names the partner's key (setting LEAK_PARTNER_KEYS) and
        `Github-Public-Key-Signature` is the base64 of the signature. Whether a finding was real is not said.
        """
        whole = request._request
        limits.count("leaks-partner", whole.address, limit=settings.LEAK_REPORTS_PER_MINUTE)
        check_signature(
            whole.body,
            identifier=whole.headers.get("Github-Public-Key-Identifier", ""),
            signature=whole.headers.get("Github-Public-Key-Signature", ""),
        )
        findings: Any = PartnerFinding(data=request.data, many=True)
        findings.max_length = _MOST_FINDINGS
        findings.is_valid(raise_exception=True)
        for finding in findings.validated_data:
            services.report_leak(
                finding["token"], actor=_reporter("Partner report", request), where=finding.get("url", "")
            )
        return Response(_RECEIVED)


def check_signature(body: bytes, *, identifier: str, signature: str) -> None:
    """Refuse with InvalidReport unless a partner that we know signed exactly these bytes."""
    known = settings.LEAK_PARTNER_KEYS.get(identifier)
    if known is None:
        raise InvalidReport
    try:
        key = load_der_public_key(base64.b64decode(known))
        signed = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise InvalidReport from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidReport
    try:
        key.verify(signed, body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise InvalidReport from None


def _reporter(name: str, request: Any) -> Actor:
    whole = request._request
    return Actor(kind=ActorKind.SYSTEM, name=name, address=whole.address, request_id=whole.request_id)
