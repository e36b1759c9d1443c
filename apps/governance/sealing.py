"""Secrets of a tenant at rest: AES-256-GCM under a key derived from CREDENTIAL_KEY, bound to what they belong to.

Each ciphertext names its key, so that CREDENTIAL_KEY can rotate: the first of several seals, all open.
"""

import base64
import binascii
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_FORMAT = b"\x01"
_NAME_BYTES, _NONCE_BYTES = 4, 12


class CannotOpen(RuntimeError):
    """The ciphertext is damaged, was moved to another place, or its key is not among CREDENTIAL_KEY."""


def seal(plaintext: bytes, *, purpose: str, place: str) -> bytes:
    """Encrypt for one purpose and place, such as `webhook` and `<tenant>:<endpoint>`; it opens nowhere else."""
    key = _keys(purpose)[0]
    nonce = os.urandom(_NONCE_BYTES)
    head = _FORMAT + _name(key)
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + place.encode())


def unseal(ciphertext: bytes, *, purpose: str, place: str) -> bytes:
    """The plaintext, or CannotOpen."""
    stored = bytes(ciphertext)
    head, rest = stored[: 1 + _NAME_BYTES], stored[1 + _NAME_BYTES :]
    for key in _keys(purpose):
        if head == _FORMAT + _name(key):
            try:
                return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + place.encode())
            except InvalidTag:
                raise CannotOpen(f"The secret of {place} is damaged or belongs elsewhere.") from None
    raise CannotOpen(f"The secret of {place} was sealed with a key that CREDENTIAL_KEY does not hold.")


def _keys(purpose: str) -> list[bytes]:
    try:
        masters = [base64.urlsafe_b64decode(text) for text in settings.CREDENTIAL_KEY.split(",")]
    except (binascii.Error, ValueError):
        masters = []
    if not masters or any(len(key) != 32 for key in masters):
        raise ImproperlyConfigured(
            "CREDENTIAL_KEY must be 32 bytes in URL-safe base64, or several with commas."
        )
    return [HKDF(SHA256(), 32, None, b"lockstep " + purpose.encode()).derive(key) for key in masters]


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"lockstep-sealing-key" + key).digest()[:_NAME_BYTES]
