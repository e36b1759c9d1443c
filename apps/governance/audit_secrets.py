"""Keeping secrets out of the audit log, which is kept for years and goes to other systems.

What our own code names like a secret is a mistake of ours and refused. What people typed (a tag called `password`,
an API key pasted into a reason) is taken out and the entry written all the same: a change must not fail because of
how somebody described it, least of all the revocation of a leaked key.
"""

import re
from typing import Any

REMOVED = "[removed: looks like a secret]"
_MOST_CHARACTERS = 2000

_SECRET_NAME = re.compile(
    r"(?:.*[_-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|credential|authorization"
    r"|cookie|assertion|samlresponse|otp|recovery[_-]?code)s?\Z",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    "|".join(
        [
            r"lk_(?:live|test)_[a-z0-9]{8}_[0-9A-Za-z]{10}_[0-9A-Za-z]{8,}",  # our keys
            r"whsec_[A-Za-z0-9+/=]{16,}",
            r"\b(?:sk|rk)[-_](?:live_|test_|proj-|ant-|svcacct-)?[A-Za-z0-9_-]{16,}",
            r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ?[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*",  # signed tokens
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
            r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}",
            r"\bAKIA[0-9A-Z]{16}\b",
            r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
            r"(?i:\bbearer\s+[A-Za-z0-9._~+/=-]{16,}|\bbasic\s+[A-Za-z0-9+/=]{16,})",
            r"(?i:<(?:\w+:)?(?:Assertion|Response)\b)|\bPHNhbWxw[A-Za-z0-9+/=]*",  # SAML, plain and in base64
            r"\bargon2(?:id|i)?\$|\bpbkdf2_sha256\$|\$2[aby]\$\d\d\$",
            r"(?i:[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@)",  # user:password@ in an address
        ]
    )
)


class SecretInAudit(ValueError):
    """A mistake of ours: a member of the details is named like a secret."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The audit log holds no secrets: leave {name!r} out of the details.")


def without_secrets(details: dict[str, Any]) -> dict[str, Any]:
    """The details as they may be stored; SecretInAudit where our own code names a secret."""
    for name, value in details.items():
        if _hides(name, value):
            raise SecretInAudit(name)
    return {clean_text(name): _clean(value) for name, value in details.items()}


def is_secret_name(name: str) -> bool:
    """Whether something of this name must not be stored."""
    return _SECRET_NAME.match(name) is not None


def clean_text(text: str) -> str:
    """Text without control characters and without what looks like a secret."""
    if _SECRET_VALUE.search(text):
        text = _SECRET_VALUE.sub(REMOVED, text)
    return text.translate(_CONTROL)[:_MOST_CHARACTERS]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {
            clean_text(str(name)): REMOVED if _hides(str(name), each) else _clean(each)
            for name, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_clean(each) for each in value]
    return value


def _hides(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        # They say that there is one, or that it changed, and not what it is.
        return False
    # max_output_tokens: 4096 is how many, and no token.
    return is_secret_name(name) and not (type(value) is int and name.endswith("tokens"))


# Text from outside may not smuggle control characters, or characters that turn the reading direction, into logs.
_CONTROL = dict.fromkeys(
    [*range(32), 127, *range(128, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029], " "
)
