"""Signing and checking heads of audit logs: Ed25519 with named keys that can rotate."""

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,20}\Z")


def can_sign() -> bool:
    """Whether this process has a key that signs."""
    return bool(settings.AUDIT_SIGNING_KEYS)


def sign(message: bytes) -> tuple[str, bytes]:
    """The name of the key that signs now, and its signature."""
    if not settings.AUDIT_SIGNING_KEYS:
        raise ImproperlyConfigured("AUDIT_SIGNING_KEYS is not set: audit logs cannot be signed here.")
    name, key = _named(settings.AUDIT_SIGNING_KEYS[0], "AUDIT_SIGNING_KEYS")
    return name, Ed25519PrivateKey.from_private_bytes(key).sign(message)


def current_key() -> str:
    """The name of the key that signs now."""
    return _named(settings.AUDIT_SIGNING_KEYS[0], "AUDIT_SIGNING_KEYS")[0]


def public_keys() -> dict[str, Ed25519PublicKey]:
    """Every key whose signatures count, by name."""
    found = {}
    for text in settings.AUDIT_PUBLIC_KEYS:
        name, key = _named(text, "AUDIT_PUBLIC_KEYS")
        found[name] = Ed25519PublicKey.from_public_bytes(key)
    for text in settings.AUDIT_SIGNING_KEYS:
        name, key = _named(text, "AUDIT_SIGNING_KEYS")
        found[name] = Ed25519PrivateKey.from_private_bytes(key).public_key()
    return found


def shown_public_keys() -> list[str]:
    """The same as `name:key`, to be given to those who verify elsewhere."""
    return [
        f"{name}:{base64.urlsafe_b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()}"
        for name, key in sorted(public_keys().items())
    ]


def is_signed(message: bytes, *, key_id: str, signature: bytes) -> bool:
    """Whether one of our keys signed this."""
    key = public_keys().get(key_id)
    if key is None:
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _named(text: str, variable: str) -> tuple[str, bytes]:
    name, _, encoded = text.partition(":")
    try:
        key = base64.urlsafe_b64decode(encoded)
    except (binascii.Error, ValueError):
        key = b""
    if not _NAME.match(name) or len(key) != 32:
        raise ImproperlyConfigured(
            f"{variable} must be `name:` and 32 bytes in URL-safe base64, several with commas."
        )
    return name, key
