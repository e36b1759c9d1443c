"""Who may sign in where: members on their tenant's host, operators in the control plane, and nobody else."""

from typing import Any
from uuid import UUID

from allauth.account.auth_backends import AuthenticationBackend
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from apps.identity.models import User
from apps.tenancy.selectors import current_tenant_or_none


class MemberBackend(AuthenticationBackend):
    """allauth's backend, inside a tenant only."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        if current_tenant_or_none() is None:
            return None
        found = super().authenticate(request, **credentials)
        return found if isinstance(found, User) else None

    def get_user(self, user_id: UUID) -> User | None:
        if current_tenant_or_none() is None:
            return None
        found = super().get_user(user_id)
        return found if isinstance(found, User) else None

    def user_can_authenticate(self, user: Any) -> bool:
        # The CHECK in a tenant's schema says the second half already.
        return bool(user.is_active and not user.is_operator)


class OperatorBackend(ModelBackend):
    """Password sign-in for operators: in the public scope of the control plane only."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if not _in_control_plane():
            return None
        found = super().authenticate(request, username=username, password=password)
        return found if isinstance(found, User) else None

    def get_user(self, user_id: UUID) -> User | None:
        if not _in_control_plane():
            return None
        found = super().get_user(user_id)
        return found if isinstance(found, User) else None

    def user_can_authenticate(self, user: Any) -> bool:
        return bool(user.is_active and user.is_operator)


def _in_control_plane() -> bool:
    return settings.LOCKSTEP_PLANE == "control" and current_tenant_or_none() is None
