"""Secrets at rest."""

import base64
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.ai_usage.credentials import (
    CannotDecrypt,
    decrypt,
    encrypt,
    is_under_newest_key,
    provider_secret,
    seal_provider_secret,
)

OLD, NEW = (base64.urlsafe_b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))


def test_a_secret_comes_back_and_is_nowhere_in_what_is_stored(settings):
    settings.CREDENTIAL_KEY = OLD
    provider = uuid4()

    stored = seal_provider_secret(provider, "sk-very-secret")

    assert provider_secret(provider, stored) == "sk-very-secret"
    assert b"very-secret" not in stored


def test_the_same_secret_is_stored_differently_each_time(settings):
    settings.CREDENTIAL_KEY = OLD

    assert encrypt(b"one", bound_to="a") != encrypt(b"one", bound_to="a")


def test_a_ciphertext_moved_to_another_place_does_not_open(settings):
    settings.CREDENTIAL_KEY = OLD
    stored = encrypt(b"one", bound_to="provider:a")

    with pytest.raises(CannotDecrypt):
        decrypt(stored, bound_to="provider:b")


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_ciphertext_with_one_changed_bit_does_not_open(settings, place):
    settings.CREDENTIAL_KEY = OLD
    stored = bytearray(encrypt(b"a secret of some length", bound_to="a"))
    stored[place % len(stored)] ^= 1

    with pytest.raises(CannotDecrypt):
        decrypt(bytes(stored), bound_to="a")


def test_after_a_rotation_old_secrets_open_and_new_ones_are_under_the_new_key(settings):
    settings.CREDENTIAL_KEY = OLD
    before = encrypt(b"one", bound_to="a")

    settings.CREDENTIAL_KEY = f"{NEW},{OLD}"

    assert decrypt(before, bound_to="a") == b"one"
    assert not is_under_newest_key(before)
    assert is_under_newest_key(encrypt(b"one", bound_to="a"))


def test_without_its_key_a_secret_stays_shut(settings):
    settings.CREDENTIAL_KEY = OLD
    stored = encrypt(b"one", bound_to="a")

    settings.CREDENTIAL_KEY = NEW

    with pytest.raises(CannotDecrypt, match="CREDENTIAL_KEY does not hold"):
        decrypt(stored, bound_to="a")


@pytest.mark.parametrize("key", ["", "short", "bm90IDMyIGJ5dGVz", "ä"])
def test_a_key_that_is_not_32_bytes_is_refused_rather_than_stretched(settings, key):
    settings.CREDENTIAL_KEY = key

    with pytest.raises(ImproperlyConfigured, match="32 bytes"):
        encrypt(b"one", bound_to="a")
