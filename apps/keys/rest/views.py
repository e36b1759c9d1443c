"""The base of every REST view: the key's tenant is in force until the answer is made."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.governance.gates import Gates
from apps.governance.types import Actor, ActorKind
from apps.keys.authentication import notices
from apps.keys.rest import limits
from apps.keys.rest.idempotency import HEADER, Attempt
from apps.keys.services import record_use
from apps.keys.types import Environment, KeyUse, Principal
from apps.tenancy.services import in_tenant


class ApiRequest(Request):
    """What a view of this API is given: who calls, as a principal and as an actor."""

    auth: Principal
    actor: Actor


class TenantAPIView(APIView):
    """A REST view of one tenant.

    `scopes` names the scope that each method needs, None where any accepted key will do; a method without an
    entry is refused. `feature` is the plan's feature that the view belongs to (or one for each method), or
    `EveryPlan("why")`. `environments` are those whose keys may enter: only live ones, unless the view keeps live
    and test apart itself. `while_suspended` lets a view write for a suspended tenant.

    Every write is one transaction, and happens once per Idempotency-Key. An answer is rendered before the
    tenant is left, so that a serializer may still read; a streamed answer would be made too late and is not
    supported.
    """

    scopes: Mapping[str, str | None] = {}
    feature: Gates | None = None
    environments: frozenset[str] = frozenset({Environment.LIVE})
    while_suspended = False
    enters_tenant = True
    request: ApiRequest
    # No OPTIONS: the description of the API is at /api/v1/schema.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer inside the tenant of the key, and leave it when the answer is rendered."""
        self._allowance: limits.Allowance | None = None
        with ExitStack() as self._entered:
            response = super().dispatch(request, *args, **kwargs)
            if isinstance(response, Response):
                response.render()
        return response

    def perform_authentication(self, request: Request) -> None:
        """Authenticate, enter the key's tenant and count the request."""
        super().perform_authentication(request)
        principal = request.auth
        if not isinstance(principal, Principal):
            return
        self._entered.enter_context(in_tenant(principal.tenant))
        self._entered.enter_context(structlog.contextvars.bound_contextvars(actor=str(principal.key_id)))
        whole: Any = request._request
        told: Any = request
        told.actor = Actor(
            kind=ActorKind.KEY,
            id=str(principal.key_id),
            name=principal.name,
            address=whole.address,
            request_id=whole.request_id,
            scopes=principal.scopes,
        )
        self._allowance = limits.count("key", str(principal.key_id), limit=settings.REST_REQUESTS_PER_MINUTE)
        agent = request.headers.get("User-Agent", "")
        record_use([KeyUse(principal.key_id, timezone.now(), whole.address, agent)])

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """After all checks, wrap a write in its transaction and its Idempotency-Key."""
        super().initial(request, *args, **kwargs)
        name = (request.method or "").lower()
        handler = getattr(self, name, None)
        if request.method not in SAFE_METHODS and handler is not None and name in self.http_method_names:
            setattr(self, name, partial(self._write_once, handler))

    def finalize_response(self, request: Any, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Say what is left of the rate, and whether the key is about to end."""
        finished: Any = super().finalize_response(request, response, *args, **kwargs)
        if self._allowance is not None:
            for header, value in self._allowance.headers().items():
                finished[header] = value
        principal = getattr(request, "_auth", None)
        if isinstance(principal, Principal):
            for header, value in notices(principal, now=timezone.now()).items():
                finished[header] = value
        return finished

    def _write_once(
        self, handler: Callable[..., Response], request: Any, *args: Any, **kwargs: Any
    ) -> Response:
        word = request.headers.get(HEADER)
        if word is None or not isinstance(request.auth, Principal):
            with transaction.atomic():
                return handler(request, *args, **kwargs)
        attempt = Attempt.of(
            principal=request.auth,
            secret=request.user.secret,
            word=word,
            method=request.method,
            path=request.get_full_path(),
            body=request._request.body,
        )
        with transaction.atomic():
            earlier = attempt.earlier_answer()
            if earlier is not None:
                return earlier
            response = handler(request, *args, **kwargs)
            attempt.keep(response)
            return response
