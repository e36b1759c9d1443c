"""E-mail addresses and passwords, as they are accepted."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.identity.errors import InvalidEmail, WeakPassword
from apps.identity.models import User


def clean_email(email: str) -> str:
    """The form in which addresses are stored and compared."""
    address = email.strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        raise InvalidEmail(email) from None
    return address


def set_checked_password(user: User, password: str) -> None:
    """Put a password on an unsaved change of a person; WeakPassword says what is wrong with it."""
    try:
        validate_password(password, user)
    except ValidationError as weak:
        raise WeakPassword(list(weak.messages)) from None
    user.set_password(password)
