"""The token in a link that lets its reader choose a password: good once, in one tenant, for a few days."""

from allauth.account.forms import EmailAwarePasswordResetTokenGenerator
from django.conf import settings
from django.urls import reverse

from apps.identity.models import User
from apps.tenancy.selectors import current_tenant


class PasswordLinkToken(EmailAwarePasswordResetTokenGenerator):
    """allauth's token, bound to the tenant as well: at another tenant's host it means nothing.

    It dies with its use (the password is part of it), with a sign-in, and when a person's sessions are ended.
    """

    key_salt = "apps.identity.tokens.PasswordLinkToken"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        of_allauth: str = super()._make_hash_value(user, timestamp)
        return f"{current_tenant().id}|{user.session_epoch}|{of_allauth}"


def password_link_path(user: User) -> str:
    """The path on the tenant's host at which this person chooses a password."""
    key = PasswordLinkToken().make_token(user)
    return reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user.pk.hex, "key": key},
        urlconf=settings.ROOT_URLCONF,
    )
