"""Who calls the REST API: the key in the request's headers, never in its address."""

from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.keys.authentication import authenticate, presented_secret
from apps.keys.types import Principal


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """What Django and DRF call the user: the key, not the person it acts for."""

    principal: Principal
    # Kept for this request alone: answers to repeated writes are encrypted under it.
    secret: str = field(repr=False)
    is_authenticated = True
    is_active = True
    is_anonymous = False

    @property
    def pk(self) -> Any:
        """The key's id."""
        return self.principal.key_id


class KeyAuthentication(BaseAuthentication):
    """Bearer token or x-api-key; every way of not being accepted is one and the same 401."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, Principal]:
        """The holder and principal of the key, or InvalidKey."""
        headers = request.headers
        whole: Any = request._request  # identity's CurrentMember gave it `address`, the host its `tenant`
        # Django joins repeated headers with a comma, which no key contains: two keys are no key.
        secret = presented_secret(
            authorization=[headers["Authorization"]] if "Authorization" in headers else [],
            x_api_key=[headers["X-Api-Key"]] if "X-Api-Key" in headers else [],
        )
        principal = authenticate(
            secret,
            host_tenant=getattr(whole, "tenant", None),
            address=whole.address,
            now=timezone.now(),
        )
        return KeyHolder(principal, secret), principal

    def authenticate_header(self, request: Request) -> str:
        """The challenge that goes with a 401."""
        return 'Bearer realm="lockstep"'
