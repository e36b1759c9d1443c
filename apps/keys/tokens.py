"""The secret itself: `lk_live_<tenant8>_<keyid10>_<secret32>_<crc6>`, and the digest that recognises it.

Everything here is arithmetic. The gateway parses each request's key before it touches any store, so a
mistyped, cut or invented key costs microseconds and reaches no database.
"""

import hmac
import re
import secrets
import string
import zlib
from functools import cache
from typing import NamedTuple

from django.conf import settings

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_ID_LENGTH = 10
SECRET_LENGTH = 32  # 190 bits, so that no slow hash is needed and none can be made to burn CPU
LENGTH = len("lk_live_") + 8 + 1 + KEY_ID_LENGTH + 1 + SECRET_LENGTH + 1 + 6

# Published in docs/keys.md for secret scanners; a match still has to pass the checksum.
PATTERN = r"lk_(live|test)_([a-z0-9]{8})_([0-9A-Za-z]{10})_([0-9A-Za-z]{32})_([0-9A-Za-z]{6})"
_FORM = re.compile(PATTERN, re.ASCII)

# Two base 62 digits at a time: three look-ups write a CRC-32, where six divisions would.
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_BASE = len(_PAIRS)


class ParsedKey(NamedTuple):
    """A string that has the form of a key and the right checksum. Nothing says yet that the key exists."""

    environment: str
    tenant_ref: str
    key_id: str
    text: str

    def __repr__(self) -> str:
        # Tracebacks and logs print arguments; the secret is not theirs.
        return f"<ParsedKey lk_{self.environment}_{self.tenant_ref}_{self.key_id}>"


class NewSecret(NamedTuple):
    """A secret just made: its plaintext for the owner, and what is stored of it."""

    plaintext: str
    key_id: str
    digest: bytes
    pepper_id: int

    def __repr__(self) -> str:
        return f"<NewSecret {self.key_id}>"


def checksum(body: str) -> str:
    """CRC-32 of everything before the last underscore, as six base 62 digits."""
    high, low = divmod(zlib.crc32(body.encode("ascii")), _BASE)
    top, middle = divmod(high, _BASE)
    return _PAIRS[top] + _PAIRS[middle] + _PAIRS[low]


def parse(text: str) -> ParsedKey | None:
    """Take a key apart, or None: wrong form, wrong length, a character out of place, or a wrong checksum."""
    found = _FORM.fullmatch(text)
    if found is None or checksum(text[:-7]) != found[5]:
        return None
    return ParsedKey(found[1], found[2], found[3], text)


def generate(*, tenant_ref: str, environment: str) -> NewSecret:
    """Make a secret for a tenant and an environment under the pepper now in use."""
    key_id = _random(KEY_ID_LENGTH)
    body = f"lk_{environment}_{tenant_ref}_{key_id}_{_random(SECRET_LENGTH)}"
    plaintext = f"{body}_{checksum(body)}"
    pepper_id = settings.KEY_PEPPER_ID
    return NewSecret(plaintext, key_id, _digest(plaintext, settings.KEY_PEPPERS[pepper_id]), pepper_id)


def matches(parsed: ParsedKey, *, digest: bytes, pepper_id: int) -> bool:
    """Whether this is the secret that the digest was made of. Takes the same time wherever they differ.

    The digest covers the whole text, so a row moved to another tenant or environment recognises nothing. With
    a pepper outside the database, write access to it is not enough to plant a key whose secret one knows.
    """
    pepper = settings.KEY_PEPPERS.get(pepper_id)
    if pepper is None:
        return False
    return hmac.compare_digest(_digest(parsed.text, pepper), digest)


def _digest(plaintext: str, pepper: str) -> bytes:
    keyed = _keyed(pepper).copy()
    keyed.update(plaintext.encode())
    return keyed.digest()


# Each request's key is digested; setting HMAC up for the pepper takes longer than that.
@cache
def _keyed(pepper: str) -> hmac.HMAC:
    return hmac.new(pepper.encode(), digestmod="sha256")


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
