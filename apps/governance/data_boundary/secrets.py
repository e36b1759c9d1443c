"""Secrets by their form: the patterns of detect-secrets, each behind a literal that costs a memory search.

Only the patterns are used. detect-secrets' own scanning reads global settings, goes line by line through every
plugin, and takes about a hundred times as long (docs/decisions).
"""

import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Final
from zlib import crc32

import orjson
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from apps.governance.data_boundary.classes import DataClass, Finding

_NOT_WITHIN: Final = r"(?<![A-Za-z0-9])(?:"
_JWT: Final = re.compile(
    r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{6,}\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?"
)
_PEM_BEGIN: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[23]:"
)
_PEM_END: Final = re.compile(
    r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: ?[0-9a-f]+"
)
_LONGEST_PEM: Final = 16_384
_LOCKSTEP: Final = re.compile(
    r"lk_(?:live|test)_[a-z0-9]{8}_[0-9A-Za-z]{10}_[0-9A-Za-z]{32}_([0-9A-Za-z]{6})"
)
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# Which literals a text must hold for a pattern to be tried. What the library does not know yet is ours.
_VENDORS: Final[tuple[tuple[tuple[str, ...], tuple[re.Pattern[str] | str, ...]], ...]] = (
    (("AKIA", "ASIA", "ABIA", "ACCA", "A3T"), (AWSKeyDetector.denylist[0],)),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), tuple(GitHubTokenDetector.denylist)),
    (("github_pat_",), (r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",)),
    (("gl", "GR1348941"), tuple(GitLabTokenDetector.denylist)),
    (("xox", "hooks.slack.com"), tuple(SlackDetector.denylist)),
    (
        ("xapp-", "xoxe"),
        (
            r"xapp-[0-9]-[A-Z0-9]{8,16}-[0-9]{8,16}-[a-f0-9]{32,64}",
            r"xoxe(?:\.xox[bp])?-[0-9]-[A-Za-z0-9]{50,200}",
        ),
    ),
    (("k_live_", "k_test_"), (*StripeDetector.denylist, r"[rs]k_(?:live|test)_[0-9a-zA-Z]{24,120}")),
    (("T3BlbkFJ",), tuple(OpenAIDetector.denylist)),
    (
        ("sk-",),
        (
            r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{40,200}",
            r"sk-ant-(?:api|admin)[0-9]{2}-[A-Za-z0-9_\-]{80,120}",
            r"sk-or-v1-[0-9a-f]{64}",
            r"sk-[A-Za-z0-9]{48}",
        ),
    ),
    (("AIza",), (r"AIza[0-9A-Za-z_\-]{35}",)),
    (("hf_",), (r"hf_[A-Za-z]{34,40}",)),
    (("npm_",), (r"npm_[A-Za-z0-9]{36}",)),
    (("SG.",), tuple(SendGridDetector.denylist)),
    (("-us",), tuple(MailchimpDetector.denylist)),
    (("pypi-",), tuple(PypiTokenDetector.denylist)),
    (("sq0csp",), tuple(SquareOAuthDetector.denylist)),
    (("AccountKey=",), tuple(AzureStorageKeyDetector.denylist)),
    (("AC", "SK"), tuple(TwilioKeyDetector.denylist)),
    ((":AA",), tuple(TelegramBotTokenDetector.denylist)),
)
# A key may be longer than its pattern; the rest of the word is its rest.
_REST: Final = re.compile(r"[A-Za-z0-9_]*")


def _compiled(pattern: re.Pattern[str] | str) -> re.Pattern[str]:
    if isinstance(pattern, str):
        return re.compile(f"{_NOT_WITHIN}{pattern})")
    return re.compile(f"{_NOT_WITHIN}{pattern.pattern})", pattern.flags & ~re.UNICODE)


_BY_LITERAL: Final = tuple(
    (literals, tuple(_compiled(pattern) for pattern in patterns)) for literals, patterns in _VENDORS
)
(_IN_ADDRESS,) = BasicAuthDetector.denylist


def api_keys(text: str, before: str) -> Iterator[Finding]:
    """Keys and tokens that say by their form whose they are."""
    for literals, patterns in _BY_LITERAL:
        for literal in literals:
            if literal in text:
                break
        else:
            continue
        for pattern in patterns:
            for found in pattern.finditer(text):
                rest = _REST.match(text, found.end())
                yield Finding(found.start(), rest.end() if rest else found.end(), DataClass.API_KEY)


def web_tokens(text: str, before: str) -> Iterator[Finding]:
    """JSON web tokens whose header reads as one."""
    if "eyJ" not in text:
        return
    for found in _JWT.finditer(text):
        head = found.group().partition(".")[0]
        try:
            header = orjson.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        except (NotBase64, ValueError):
            continue
        if isinstance(header, dict) and "alg" in header:
            yield Finding(*found.span(), DataClass.JWT)


def private_keys(text: str, before: str) -> Iterator[Finding]:
    """Private keys with their whole block; one that does not end here is open."""
    if "PRIVATE KEY" not in text and "PuTTY-User-Key" not in text:
        return
    done = 0
    for found in _PEM_BEGIN.finditer(text):
        if found.start() < done:
            continue
        most = min(len(text), found.end() + _LONGEST_PEM)
        end = _PEM_END.search(text, found.end(), most)
        done = end.end() if end else most
        yield Finding(found.start(), done, DataClass.PRIVATE_KEY, open=end is None and most == len(text))


def lockstep_keys(text: str, before: str) -> Iterator[Finding]:
    """This platform's own keys, which their checksum proves."""
    if "lk_" not in text:
        return
    for found in _LOCKSTEP.finditer(text):
        if _checksum(found.group()[:-7]) == found[1]:
            yield Finding(*found.span(), DataClass.LOCKSTEP_KEY)


def _checksum(body: str) -> str:
    """As docs/keys.md has it: a CRC-32 in six base 62 digits."""
    number, digits = crc32(body.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def url_passwords(text: str, before: str) -> Iterator[Finding]:
    """The password in `scheme://user:password@host`."""
    if "://" not in text or "@" not in text:
        return
    for found in _IN_ADDRESS.finditer(text):
        yield Finding(*found.span(1), DataClass.URL_PASSWORD)
