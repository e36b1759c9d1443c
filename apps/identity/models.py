"""The user table: members in a tenant's schema, operators in `public`, never both in one place."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from uuid_utils.compat import uuid7


class Role(models.TextChoices):
    """What a member may do in the portal, and so which scopes its keys may carry."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


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
    REQUIRED_FIELDS: list[str] = []
    objects = UserManager()

    class Meta:
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
