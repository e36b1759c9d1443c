"""Endpoints of keys."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from apps.keys import selectors, services, tokens
from apps.keys.api.examples import ISSUE, ISSUED, KEY, KEY_PAGE
from apps.keys.api.serializers import (
    ChangeKey,
    Introspect,
    IntrospectionSerializer,
    IssueChildKey,
    IssuedKeySerializer,
    IssueKey,
    KeyDetailSerializer,
    KeyQuery,
    KeySerializer,
    NoBody,
    Reason,
    RotateKey,
)
from apps.keys.authentication import load_principal, verify
from apps.keys.errors import InvalidKey, WrongEnvironment
from apps.keys.gates import KEYS
from apps.keys.rest import ApiRequest, CursorPage, TenantAPIView, describes, page_of
from apps.keys.types import Environment, Key
from apps.tenancy.selectors import current_tenant

_BOTH = frozenset(Environment)


def body_of(serializer: type[Any], request: ApiRequest) -> dict[str, Any]:
    """The request's body as the serializer understands it; 400 where it doesn't."""
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def query_of(serializer: type[Any], request: ApiRequest) -> dict[str, Any]:
    """The query's members that the serializer knows, each given once; the page's own are left to the page."""
    given = {name: value for name, value in request.query_params.items() if name not in ("limit", "cursor")}
    query = serializer(data=given)
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def _issued(issued: Any) -> Response:
    return Response(
        IssuedKeySerializer(issued).data, status=201, headers={"Location": f"/api/v1/keys/{issued.key.id}"}
    )


class KeyView(TenantAPIView):
    """A view of one key; a live key sees and changes live keys, a test key test keys."""

    environments = _BOTH

    def visible(self, key_id: UUID) -> Key:
        """The key, if it is of the caller's environment."""
        found = selectors.key(key_id)
        if found.environment != self.request.auth.environment:
            raise WrongEnvironment(self.request.auth.environment)
        return found


class KeyList(TenantAPIView):
    """The tenant's keys."""

    scopes = {"GET": "keys:read", "POST": "keys:write"}
    feature = KEYS
    environments = _BOTH

    @describes(
        page_of(KeySerializer), query=KeyQuery, name="keys_list", tag="keys", examples={"A page": KEY_PAGE}
    )
    def get(self, request: ApiRequest) -> Response:
        """Keys of the environment of the key you use, newest first."""
        query = query_of(KeyQuery, request)
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.keys(
                before=UUID(after) if after else None,
                limit=limit,
                environment=request.auth.environment,
                **query,
            ),
            position=lambda key: key.id,
            show=KeySerializer,
        )

    @describes(
        IssuedKeySerializer,
        body=IssueKey,
        status=201,
        name="keys_issue",
        tag="keys",
        examples={"Issued": ISSUED},
        asks={"For a service account": ISSUE},
    )
    def post(self, request: ApiRequest) -> Response:
        """Issue a key. The answer is the only time its secret is shown."""
        body = body_of(IssueKey, request)
        body.setdefault("environment", request.auth.environment)
        return _issued(services.issue_key(actor=request.actor, **body))


class KeyOne(KeyView):
    """One key."""

    scopes = {"GET": "keys:read", "PATCH": "keys:write"}
    feature = KEYS

    @describes(KeyDetailSerializer, name="keys_get", tag="keys")
    def get(self, request: ApiRequest, key_id: UUID) -> Response:
        """A key with what it replaces, what replaces it, its parent and its children."""
        self.visible(key_id)
        return Response(KeyDetailSerializer(selectors.key_detail(key_id)).data)

    @describes(KeySerializer, body=ChangeKey, name="keys_change", tag="keys", examples={"Changed": KEY})
    def patch(self, request: ApiRequest, key_id: UUID) -> Response:
        """Rename a key or change its restrictions and tags. Its scopes and expiry never change: rotate it."""
        body = body_of(ChangeKey, request)
        return Response(KeySerializer(services.restrict_key(key_id, actor=request.actor, **body)).data)


class KeyRotation(KeyView):
    """Handing over to a new secret."""

    scopes = {"POST": "keys:write"}
    feature = KEYS

    @describes(
        IssuedKeySerializer,
        body=RotateKey,
        status=201,
        name="keys_rotate",
        tag="keys",
        examples={"Issued": ISSUED},
    )
    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        """Make a successor with the same rights. The old key works on for the overlap, deprecated."""
        body = body_of(RotateKey, request)
        return _issued(
            services.rotate_key(
                key_id,
                actor=request.actor,
                overlap=timedelta(seconds=body["overlap_seconds"]),
                expires_at=body.get("expires_at"),
            )
        )


class KeyRevocation(KeyView):
    """Ending a key."""

    scopes = {"POST": "keys:write"}
    feature = KEYS

    @describes(KeySerializer, body=Reason, name="keys_revoke", tag="keys")
    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        """End a key and its children for good, from the next request on."""
        body = body_of(Reason, request)
        return Response(KeySerializer(services.revoke_key(key_id, actor=request.actor, **body)).data)


class KeyDisabling(KeyView):
    """Pausing a key."""

    scopes = {"POST": "keys:write"}
    feature = KEYS

    @describes(KeySerializer, body=Reason, name="keys_disable", tag="keys")
    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        """Pause a key and its children until it is enabled."""
        body = body_of(Reason, request)
        return Response(KeySerializer(services.disable_key(key_id, actor=request.actor, **body)).data)


class KeyEnabling(KeyView):
    """Ending a pause."""

    scopes = {"POST": "keys:write"}
    feature = KEYS

    @describes(KeySerializer, body=NoBody, name="keys_enable", tag="keys")
    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        """Let a disabled key work again."""
        body_of(NoBody, request)
        return Response(KeySerializer(services.enable_key(key_id, actor=request.actor)).data)


class KeyChildren(KeyView):
    """The keys that are parts of a key."""

    scopes = {"GET": "keys:read", "POST": "keys:write"}
    feature = {"GET": KEYS, "POST": "child_keys"}

    @describes(page_of(KeySerializer), name="keys_children", tag="keys")
    def get(self, request: ApiRequest, key_id: UUID) -> Response:
        """A key's child keys, newest first."""
        parent = self.visible(key_id)
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.keys(
                before=UUID(after) if after else None, limit=limit, parent_id=parent.id
            ),
            position=lambda key: key.id,
            show=KeySerializer,
        )

    @describes(
        IssuedKeySerializer, body=IssueChildKey, status=201, name="keys_issue_child", tag="keys",
        examples={"Issued": ISSUED},
        asks={"For an agent": {"name": "agent run 4711", "scopes": ["inference:write"]}},
    )  # fmt: skip
    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        """Make a key for one agent or task: part of this one, living an hour unless told otherwise."""
        body = body_of(IssueChildKey, request)
        return _issued(services.issue_child_key(key_id, actor=request.actor, **body))


class KeyIntrospection(TenantAPIView):
    """Asking about a secret."""

    scopes = {"POST": "keys:read"}
    feature = KEYS
    environments = _BOTH
    while_suspended = True

    @describes(IntrospectionSerializer, body=Introspect, name="keys_introspect", tag="keys")
    def post(self, request: ApiRequest) -> Response:
        """Whether a secret is accepted now. Of keys of other tenants, or of none, nothing is said but no.

        The address is not looked at: it would be yours, not that of whoever uses the key.
        """
        parsed = tokens.parse(body_of(Introspect, request)["key"].strip())
        tenant = current_tenant()
        if (
            parsed is None
            or parsed.tenant_ref != tenant.ref
            or parsed.environment != request.auth.environment
        ):
            return Response({"active": False})
        principal = load_principal(tenant, parsed.key_id)
        if principal is None:
            return Response({"active": False})
        try:
            verify(principal, parsed, now=timezone.now(), address=None)
        except InvalidKey:
            return Response({"active": False})
        found = selectors.key(principal.key_id)
        return Response({"active": True, "key": KeySerializer(found).data})
