"""Secrets at rest: AES-256-GCM under CREDENTIAL_KEY, bound to what they belong to, with keys that can rotate.

`CREDENTIAL_KEY` is one key or several with commas between: the first encrypts, all decrypt. Each ciphertext
names its key, so that an old key can be taken away once nothing names it.
"""

import base64
import binascii
import hashlib
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_FORMAT = b"\x01"
_NAME_BYTES, _NONCE_BYTES = 4, 12


class CannotDecrypt(RuntimeError):
    """The ciphertext is damaged, was moved to another place, or its key is not among CREDENTIAL_KEY."""


def encrypt(plaintext: bytes, *, bound_to: str) -> bytes:
    """Encrypt for one place, such as `provider:<id>`; it cannot be decrypted in another."""
    key = _keys()[0]
    nonce = os.urandom(_NONCE_BYTES)
    head = _FORMAT + _name(key)
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + bound_to.encode())


def decrypt(ciphertext: bytes, *, bound_to: str) -> bytes:
    """The plaintext, or CannotDecrypt."""
    stored = bytes(ciphertext)
    head, rest = stored[: 1 + _NAME_BYTES], stored[1 + _NAME_BYTES :]
    nonce, body = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    for key in _keys():
        if head == _FORMAT + _name(key):
            try:
                return AESGCM(key).decrypt(nonce, body, head + bound_to.encode())
            except InvalidTag:
                raise CannotDecrypt(f"The secret of {bound_to} is damaged or belongs elsewhere.") from None
    raise CannotDecrypt(
        f"The secret of {bound_to} was encrypted with a key that CREDENTIAL_KEY does not hold."
    )


def is_under_newest_key(ciphertext: bytes) -> bool:
    """Whether a ciphertext would look the same key up as one made now; False: encrypt it again."""
    return bytes(ciphertext)[: 1 + _NAME_BYTES] == _FORMAT + _name(_keys()[0])


def _keys() -> list[bytes]:
    try:
        keys = [base64.urlsafe_b64decode(text) for text in settings.CREDENTIAL_KEY.split(",")]
    except (binascii.Error, ValueError):
        keys = []
    # Anything that is not 32 bytes is a mistake; none is ever stretched or padded into a key.
    if not keys or any(len(key) != 32 for key in keys):
        raise ImproperlyConfigured(
            "CREDENTIAL_KEY must be 32 bytes in URL-safe base64, or several with commas."
        )
    return keys


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"lockstep-credential-key" + key).digest()[:_NAME_BYTES]


def seal_provider_secret(provider_id: UUID, secret: str) -> bytes:
    """A provider's credential as it is stored."""
    return encrypt(secret.encode(), bound_to=f"provider:{provider_id}")


def provider_secret(provider_id: UUID, ciphertext: bytes) -> str:
    """A provider's credential from what is stored."""
    return decrypt(ciphertext, bound_to=f"provider:{provider_id}").decode()
