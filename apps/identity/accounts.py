"""allauth's hooks: closed sign-up, one place that every sign-in passes, and its record in the audit log."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from apps.governance import services as governance
from apps.governance.types import Actor, ActorKind
from apps.identity import selectors
from apps.identity.addresses import client_address
from apps.identity.middleware import member_actor
from apps.identity.models import User
from apps.tenancy.selectors import current_tenant

# Said by the page itself; a notice on top of it is noise.
_SILENT = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountAdapter(DefaultAccountAdapter):
    """How members of the tenant in force sign in, and how it is told."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People come in by invitation only."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Only this very host: another tenant's is somebody else's, however well we know it."""
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that brute-force limits count by."""
        return client_address(request) or "unknown"

    def pre_login(self, request: HttpRequest, user: Any, **hook: Any) -> HttpResponse | None:
        """The one place that every way of signing in passes: password, link, and whatever comes later."""
        refused = self._why_not(user)
        if refused is None:
            stopped: HttpResponse | None = super().pre_login(request, user, **hook)
            return stopped
        governance.record_audit(
            "member.sign_in_refused",
            actor=member_actor(selectors.describe(user), request),
            target_kind="member",
            target_id=user.pk,
            details={"reason": refused},
        )
        inactive: HttpResponse = self.respond_user_inactive(request, user)
        return inactive

    def login(self, request: HttpRequest, user: Any) -> None:
        """Start a new session (whatever the browser brought along is thrown away) and write it down."""
        with transaction.atomic():
            super().login(request, user)
            governance.record_audit(
                "member.signed_in",
                actor=member_actor(selectors.describe(user), request),
                target_kind="member",
                target_id=user.pk,
            )

    def logout(self, request: HttpRequest) -> None:
        """End this session and write it down."""
        user = request.user
        if isinstance(user, User):
            governance.record_audit(
                "member.signed_out",
                actor=member_actor(selectors.describe(user), request),
                target_kind="member",
                target_id=user.pk,
            )
        super().logout(request)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Write a failed attempt down. How many there can be is bounded by the limits that come before."""
        email = str(credentials.get("email", ""))[:254]
        known = selectors.member_by_email(email) if email else None
        governance.record_audit(
            "member.sign_in_failed",
            actor=Actor(
                kind=ActorKind.SYSTEM,
                name="sign-in",
                address=client_address(request),
                request_id=getattr(request, "request_id", ""),
            ),
            target_kind="member" if known else "",
            target_id=known.id if known else "",
            details={"email": email},
        )

    def set_password(self, user: Any, password: str) -> None:
        """A password chosen by its owner: at the account page or by a link."""
        with transaction.atomic():
            super().set_password(user, password)
            request = context.request
            governance.record_audit(
                "member.password_set",
                actor=member_actor(selectors.describe(user), request),
                target_kind="member",
                target_id=user.pk,
                details={"by": "change" if request.user.is_authenticated else "link"},
            )

    def add_message(
        self, request: HttpRequest, level: int, message_template: Any = None, *args: Any, **more: Any
    ) -> None:
        """Notices for what the next page doesn't show by itself."""
        if message_template not in _SILENT:
            super().add_message(request, level, message_template, *args, **more)

    def _why_not(self, user: User) -> str | None:
        if not current_tenant().is_served:
            return "tenant_not_served"
        if not user.is_active:
            return "disabled"
        if user.is_operator:
            return "not_a_member"
        return None
