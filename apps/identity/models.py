"""People and their sessions: members in a tenant's schema, operators in `public`, never both in one place."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from uuid_utils.compat import uuid7

from apps.identity.roles import Role
from apps.tenancy.selectors import current_tenant_or_none


class UserManager(BaseUserManager["User"]):
    """Lookup by e-mail as Django's authentication expects it."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person who signs in. No groups and permissions of Django's: rights come from the role.

    The table exists in `public` and in each tenant's schema. A CHECK in each place keeps them apart
    (migration 0002): in a tenant's schema no row can be an operator, in `public` every row is one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.VIEWER)
    is_operator = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    # Part of the session's hash: raising it ends every session of this person on the next request.
    session_epoch = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        # The word of the operator admin, the only place that shows it: there are no other people in `public`.
        verbose_name = "operator"
        ordering = ["email"]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="identity_user_email_any_case"),
            models.CheckConstraint(name="identity_user_known_role", condition=Q(role__in=Role.values)),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Django admin's word for an operator."""
        return self.is_operator and self.is_active

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Django admin asks; operators may, members never."""
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        """Django admin asks; operators may, members never."""
        return self.is_staff

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # Django's hash covers the password alone. With the place in it, a session row that found its way into
        # another schema is still no session there; with the epoch in it, all of a person's sessions can be
        # ended.
        tenant = current_tenant_or_none()
        return salted_hmac(
            "apps.identity.models.User.session",
            f"{tenant.id if tenant else 'operators'}|{self.pk}|{self.session_epoch}|{self.password}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()


class Session(AbstractBaseSession):
    """One signed-in browser. In a tenant's schema a member's, in `public` an operator's."""

    # SHA-256 of the cookie's value: who reads this table cannot use what is in it.
    session_key = models.CharField(max_length=64, primary_key=True)
    # What people name a session by when they end it.
    id = models.UUIDField(default=uuid7, unique=True, editable=False)
    # None: nobody has signed in with it (yet).
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="sessions")
    address = models.CharField(max_length=45, blank=True, default="")
    agent = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Written at most once a minute.
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-last_seen_at"]

    @classmethod
    def get_session_store_class(cls) -> Any:
        from apps.identity.sessions import SessionStore

        return SessionStore
