"""The form of a key: what is generated is understood, and nothing else is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.keys import tokens

REFS = st.text(alphabet="abcdefghijkmnpqrstuvwxyz23456789", min_size=8, max_size=8)
ENVIRONMENTS = st.sampled_from(["live", "test"])


@given(REFS, ENVIRONMENTS)
def test_what_is_generated_parses_to_its_parts(ref: str, environment: str) -> None:
    secret = tokens.generate(tenant_ref=ref, environment=environment)

    parsed = tokens.parse(secret.plaintext)

    assert parsed == (environment, ref, secret.key_id, secret.plaintext)
    assert len(secret.plaintext) == tokens.LENGTH == 67


@given(REFS, st.integers(0, 66), st.characters())
def test_one_changed_character_is_no_key(ref: str, position: int, character: str) -> None:
    text = tokens.generate(tenant_ref=ref, environment="live").plaintext
    changed = text[:position] + character + text[position + 1 :]

    assert tokens.parse(changed) is None or changed == text


@given(REFS, st.integers(0, 65))
def test_two_neighbours_swapped_are_no_key(ref: str, position: int) -> None:
    text = tokens.generate(tenant_ref=ref, environment="live").plaintext
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]

    assert tokens.parse(swapped) is None or swapped == text


@given(st.text(max_size=200))
def test_any_text_is_refused_without_an_error(text: str) -> None:
    assert tokens.parse(text) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text + " ",
        lambda text: text + "\x00",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text.replace("lk_live", "LK_LIVE"),
        lambda text: text.replace("_live_", "_prod_"),
        lambda text: text[:20] + "é" + text[21:],
        # A fullwidth digit and an Arabic one: \d of a careless pattern takes both.
        lambda text: text[:30] + "\uff11" + text[31:],
        lambda text: text[:30] + "\u0661" + text[31:],
        lambda text: text * 1000,
        lambda text: "",
    ],
)
def test_odd_forms_are_no_key(spoil: object) -> None:
    text = tokens.generate(tenant_ref="acme2345", environment="live").plaintext

    assert tokens.parse(spoil(text)) is None  # type: ignore[operator]


def test_the_checksum_is_crc32_in_base_62() -> None:
    # zlib.crc32(b"123456789") is the CRC's published check value, 0xCBF43926.
    value, digits = 0xCBF43926, ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = (string.digits + string.ascii_uppercase + string.ascii_lowercase)[digit] + digits

    assert tokens.checksum("123456789") == digits == "3jZRME"


def test_only_the_same_text_under_the_same_pepper_matches(settings: object) -> None:
    settings.KEY_PEPPERS, settings.KEY_PEPPER_ID = {1: "old", 2: "new"}, 1  # type: ignore[attr-defined]
    secret = tokens.generate(tenant_ref="acme2345", environment="live")
    other = tokens.generate(tenant_ref="acme2345", environment="live")
    parsed, foreign = tokens.parse(secret.plaintext), tokens.parse(other.plaintext)

    assert parsed is not None and foreign is not None
    assert tokens.matches(parsed, digest=secret.digest, pepper_id=1)
    assert not tokens.matches(parsed, digest=secret.digest, pepper_id=2)
    assert not tokens.matches(parsed, digest=secret.digest, pepper_id=3)
    assert not tokens.matches(foreign, digest=secret.digest, pepper_id=1)
    assert len(secret.digest) == 32


def test_a_new_pepper_is_used_for_new_keys_and_the_old_ones_still_match(settings: object) -> None:
    settings.KEY_PEPPERS, settings.KEY_PEPPER_ID = {1: "old"}, 1  # type: ignore[attr-defined]
    old = tokens.generate(tenant_ref="acme2345", environment="live")

    settings.KEY_PEPPERS, settings.KEY_PEPPER_ID = {1: "old", 2: "new"}, 2  # type: ignore[attr-defined]
    new = tokens.generate(tenant_ref="acme2345", environment="live")

    assert (old.pepper_id, new.pepper_id) == (1, 2)
    for secret in (old, new):
        parsed = tokens.parse(secret.plaintext)
        assert parsed is not None
        assert tokens.matches(parsed, digest=secret.digest, pepper_id=secret.pepper_id)


def test_neither_value_prints_its_secret() -> None:
    secret = tokens.generate(tenant_ref="acme2345", environment="live")
    parsed = tokens.parse(secret.plaintext)

    for shown in (repr(secret), repr(parsed), f"{parsed}"):
        assert secret.plaintext[29:] not in shown
        assert secret.key_id in shown
