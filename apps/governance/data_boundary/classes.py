"""What the boundary looks for, by stable names, and what can be done about it."""

from enum import StrEnum
from typing import Final, NamedTuple


class DataClass(StrEnum):
    """A kind of personal data or secret. The names are in policies, counts and errors, and never change."""

    EMAIL = "email"
    PHONE = "phone"
    CREDIT_CARD = "credit_card"
    IBAN = "iban"
    NATIONAL_ID = "national_id"
    VAT_NUMBER = "vat_number"
    IP_ADDRESS = "ip_address"
    LOCKSTEP_KEY = "lockstep_key"
    API_KEY = "api_key"
    JWT = "jwt"
    PRIVATE_KEY = "private_key"
    URL_PASSWORD = "url_password"  # noqa: S105  (the name of a class)

    @property
    def placeholder(self) -> str:
        """What stands in its placeholders: `EMAIL` in `[EMAIL_1]`."""
        return self.value.upper()


class Action(StrEnum):
    """What to do about a class in one direction. A class without one is not looked for."""

    ALLOW = "allow"  # counted, and let through
    REDACT = "redact"
    BLOCK = "block"


class Direction(StrEnum):
    """Which way a text goes: to the provider, or back to the caller."""

    REQUEST = "request"
    RESPONSE = "response"


STRICTNESS: Final = {None: 0, Action.ALLOW: 1, Action.REDACT: 2, Action.BLOCK: 3}

# For people who choose.
WORDS: Final[dict[DataClass, tuple[str, str]]] = {
    DataClass.EMAIL: ("E-mail addresses", "jane@example.com"),
    DataClass.PHONE: ("Phone numbers", "International ones, and national ones of the regions below"),
    DataClass.CREDIT_CARD: ("Payment cards", "By issuer, length and checksum"),
    DataClass.IBAN: ("Bank accounts (IBAN)", "By country, length and checksum"),
    DataClass.NATIONAL_ID: ("National identity numbers", "SSN, NIR, DNI, CPF, Aadhaar and others"),
    DataClass.VAT_NUMBER: ("VAT numbers", "With their country's prefix and checksum"),
    DataClass.IP_ADDRESS: ("IP addresses", "IPv4 and IPv6, without loopback"),
    DataClass.LOCKSTEP_KEY: ("Keys of this platform", "lk_live_… and lk_test_…"),
    DataClass.API_KEY: ("API keys of others", "AWS, GitHub, Stripe, Slack, OpenAI and others"),
    DataClass.JWT: ("JSON web tokens", "eyJ… with a header that reads as one"),
    DataClass.PRIVATE_KEY: ("Private keys", "PEM, OpenSSH, PGP and PuTTY blocks"),
    DataClass.URL_PASSWORD: ("Passwords in addresses", "https://user:password@host"),
}


class Finding(NamedTuple):
    """Where in a text something stands. The value itself is never copied into one."""

    start: int
    end: int
    kind: DataClass
    # The value may go on beyond the text that was looked at.
    open: bool = False
