"""What is found in texts, what is not, and how long looking takes at worst."""

import contextlib
import time

import pytest

from apps.governance.data_boundary.classes import DataClass
from apps.governance.data_boundary.errors import OutOfTime
from apps.governance.data_boundary.scanning import Scanner
from apps.keys.tokens import generate

ALL = Scanner(dict.fromkeys(DataClass, 1), ("US", "DE", "GB"))


def found(text: str, scanner: Scanner = ALL, before: str = "") -> list[tuple[str, str]]:
    """Value and class of everything found."""
    return [(text[each.start : each.end], each.kind.value) for each in scanner.scan(text, before=before)]


JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("jane.doe+tag@mail.example.co.uk", "email"),
        ("O'Brien@example.org", "email"),
        ("jürgen@bücher.example", "email"),
        ("+1 415 555 2671", "phone"),
        ("+442079460958", "phone"),
        ("0049 30 901820", "phone"),
        ("(212) 555-0123", "phone"),
        ("415-555-2671", "phone"),
        ("030 1234567", "phone"),
        ("4111 1111 1111 1111", "credit_card"),
        ("4111-1111-1111-1111", "credit_card"),
        ("378282246310005", "credit_card"),
        ("5555555555554444", "credit_card"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("GB82WEST12345698765432", "iban"),
        ("fr1420041010050500013M02606", "iban"),
        ("536-90-4399", "national_id"),
        ("390.533.447-05", "national_id"),
        ("54362315K", "national_id"),
        ("X2482300W", "national_id"),
        ("RSSMRA85T10A562S", "national_id"),
        ("2 95 10 99 126 111 93", "national_id"),
        ("756.9217.0769.85", "national_id"),
        ("AB123456C", "national_id"),
        ("DE136695976", "vat_number"),
        ("ATU13585627", "vat_number"),
        ("FR40303265045", "vat_number"),
        ("192.168.1.17", "ip_address"),
        ("2001:db8::ff00:42:8329", "ip_address"),
        ("AKIAIOSFODNN7EXAMPLE", "api_key"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "api_key"),
        ("xoxb-123456789012-123456789012-abcdefghijklmnopqrstuvwx", "api_key"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "api_key"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "api_key"),
        ("sk-ant-api03-" + "a1B2" * 23 + "AA", "api_key"),
        (JWT, "jwt"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "private_key"),
    ],
)
def test_a_value_is_found_wherever_it_stands_in_a_text(value, kind):
    for text in (
        value,
        f"It is {value}.",
        f'{{"x": "{value}"}}',
        f"a\n{value}\nb",
        f"({value})",
        f"{value}, {value}",
    ):
        assert (value, kind) in found(text), text


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # checksum
        "1111 1111 1111 1117",  # nobody issues these
        "DE89 3704 0044 0532 0130 01",
        "000-12-3456",
        "390.533.447-06",
        "54362315A",
        "DE136695977",
        "order 20241124-12345 of 2024-11-24T10:00:00Z came to 1,234,567.89",
        "ids 123456789 987654321 1732470000000 and 12 34 56 78 90 12 34 56",
        "v1.2.3.4 and 1.2.3.4.5 at 12:30:45, 127.0.0.1, ::1, std::vector<int>",
        "user@localhost, @decorator, a@b, foo@.com",
        "lk_live_abcdefgh_0123456789_01234567890123456789012345678901_000000",
        "eyJust.kidding.about",
        "sk-learn, AC/DC, SKIING, xoxo, BEGIN PUBLIC KEY",
        "555 1234, chapter 3.14.15, 10/11/2024, 0.123456789",
        "+1 234",
        "d41d8cd98f00b204e9800998ecf8427e",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    ],
)
def test_what_only_looks_like_one_is_not_found(text):
    assert found(text) == []


def test_our_own_keys_are_found_by_their_checksum(acme):
    secret = generate(tenant_ref=acme.ref, environment="live").plaintext

    assert found(f"key={secret};") == [(secret, "lockstep_key")]


def test_a_number_that_says_little_is_believed_with_its_name_in_front():
    assert found("SSN: 536904399") == [("536904399", "national_id")]
    assert found("number 536904399") == []
    assert found("536904399", before="the customer's SSN is ") == [("536904399", "national_id")]


def test_only_what_is_asked_for_is_found():
    scanner = Scanner({DataClass.EMAIL: 1})

    assert found("a@example.com 4111 1111 1111 1111", scanner) == [("a@example.com", "email")]


def test_two_that_overlap_are_one_of_the_stricter_class():
    text = "postgres://app:hunter2@db.example.com/x"

    email_stricter = Scanner({DataClass.EMAIL: 3, DataClass.URL_PASSWORD: 1})
    password_stricter = Scanner({DataClass.EMAIL: 1, DataClass.URL_PASSWORD: 3})

    assert found(text, email_stricter) == [("hunter2@db.example.com", "email")]
    assert found(text, password_stricter) == [("hunter2@db.example.com", "url_password")]


def test_a_value_across_two_windows_of_a_long_text_is_found_once():
    for shift in range(0, 40, 3):
        text = "x " * 8185 + " " * shift + "jane@example.com and 4111 1111 1111 1111" + " y" * 9000

        assert found(text) == [("jane@example.com", "email"), ("4111 1111 1111 1111", "credit_card")]


@pytest.mark.parametrize(
    "text",
    [
        "@" * 300_000,
        "a@" * 150_000,
        "1 2 3 4 " * 40_000,
        "eyJ" * 100_000,
        "a:b:c:" * 50_000,
        "-----BEGIN PRIVATE KEY-----" * 10_000,
        "https://" * 40_000,
        "AKIA" * 70_000,
        "GB82WEST" * 40_000,
        "+1 415 555 267 " * 20_000,
        "x" * 300_000,
        "9" * 300_000,
        "00" + "(1) " * 70_000,
        "pypi-AgEIcHlwaS5vcmc" * 15_000,
        "a." * 100 + "@" + "a-" * 150_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_text_ends_soon_after_its_deadline(text):
    began = time.monotonic()

    with contextlib.suppress(OutOfTime):
        ALL.scan(text, deadline=began + 1)

    assert time.monotonic() - began < 4
