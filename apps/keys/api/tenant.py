"""Endpoints about the caller and the tenant: whoami, service accounts and the key policy."""

from uuid import UUID

from rest_framework.response import Response

from apps.governance import selectors as governance
from apps.keys import selectors, services
from apps.keys.api.keys import body_of
from apps.keys.api.serializers import (
    CreateServiceAccount,
    KeyPolicySerializer,
    NoBody,
    ServiceAccountSerializer,
    WhoAmISerializer,
)
from apps.keys.gates import KEYS
from apps.keys.rest import ApiRequest, CursorPage, TenantAPIView, describes, page_of
from apps.keys.types import Environment, KeyPolicy


class WhoAmI(TenantAPIView):
    """The caller."""

    scopes = {"GET": None}
    feature = KEYS
    environments = frozenset(Environment)

    @describes(WhoAmISerializer, name="whoami", tag="keys")
    def get(self, request: ApiRequest) -> Response:
        """What the key you use is, whose it is, and what it may do now."""
        principal = request.auth
        return Response(
            WhoAmISerializer(
                {
                    "tenant": principal.tenant,
                    "key": selectors.key(principal.key_id),
                    "scopes": sorted(principal.scopes),
                    "plan": governance.entitlements().plan,
                }
            ).data
        )


class ServiceAccountList(TenantAPIView):
    """Programs that own keys."""

    scopes = {"GET": "keys:read", "POST": "keys:write"}
    feature = {"GET": KEYS, "POST": "service_accounts"}

    @describes(page_of(ServiceAccountSerializer), name="service_accounts_list", tag="service accounts")
    def get(self, request: ApiRequest) -> Response:
        """Service accounts, newest first."""
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.service_accounts(
                before=UUID(after) if after else None, limit=limit
            ),
            position=lambda account: account.id,
            show=ServiceAccountSerializer,
        )

    @describes(
        ServiceAccountSerializer, body=CreateServiceAccount, status=201, name="service_accounts_create",
        tag="service accounts",
    )  # fmt: skip
    def post(self, request: ApiRequest) -> Response:
        """Make a service account, to own keys that outlive the person who made them."""
        made = services.create_service_account(actor=request.actor, **body_of(CreateServiceAccount, request))
        return Response(
            ServiceAccountSerializer(made).data,
            status=201,
            headers={"Location": f"/api/v1/service-accounts/{made.id}"},
        )


class ServiceAccountOne(TenantAPIView):
    """One service account."""

    scopes = {"GET": "keys:read"}
    feature = KEYS

    @describes(ServiceAccountSerializer, name="service_accounts_get", tag="service accounts")
    def get(self, request: ApiRequest, account_id: UUID) -> Response:
        """A service account and how many usable keys it has."""
        return Response(ServiceAccountSerializer(selectors.service_account(account_id)).data)


class ServiceAccountDisabling(TenantAPIView):
    """Pausing a service account."""

    scopes = {"POST": "keys:write"}
    feature = KEYS

    @describes(ServiceAccountSerializer, body=NoBody, name="service_accounts_disable", tag="service accounts")
    def post(self, request: ApiRequest, account_id: UUID) -> Response:
        """Refuse all its keys from the next request on."""
        body_of(NoBody, request)
        return Response(
            ServiceAccountSerializer(services.disable_service_account(account_id, actor=request.actor)).data
        )


class ServiceAccountEnabling(TenantAPIView):
    """Ending a service account's pause."""

    scopes = {"POST": "keys:write"}
    feature = "service_accounts"

    @describes(ServiceAccountSerializer, body=NoBody, name="service_accounts_enable", tag="service accounts")
    def post(self, request: ApiRequest, account_id: UUID) -> Response:
        """Let its keys work again, those that are not ended themselves."""
        body_of(NoBody, request)
        return Response(
            ServiceAccountSerializer(services.enable_service_account(account_id, actor=request.actor)).data
        )


class KeyPolicyView(TenantAPIView):
    """What the tenant asks of all its keys."""

    scopes = {"GET": "settings:read", "PUT": "settings:write"}
    feature = KEYS

    @describes(KeyPolicySerializer, name="key_policy_get", tag="keys")
    def get(self, request: ApiRequest) -> Response:
        """Lifetimes, what happens to unused and leaked keys, and the networks keys may be used from."""
        return Response(KeyPolicySerializer(selectors.key_policy()).data)

    @describes(KeyPolicySerializer, body=KeyPolicySerializer, name="key_policy_set", tag="keys")
    def put(self, request: ApiRequest) -> Response:
        """Replace the policy."""
        body = body_of(KeyPolicySerializer, request)
        body["addresses_allowed"] = tuple(body["addresses_allowed"])
        policy = services.set_key_policy(KeyPolicy(**body), actor=request.actor)
        return Response(KeyPolicySerializer(policy).data)
