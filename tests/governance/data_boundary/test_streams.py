"""Texts in pieces: whatever the pieces, the outcome is that of the whole text, and little is held back."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.governance.data_boundary.classes import DataClass, Direction
from apps.governance.data_boundary.errors import Blocked
from apps.governance.data_boundary.policy import Boundary
from apps.governance.data_boundary.redaction import Redactor
from apps.governance.data_boundary.streams import Channel
from tests.governance.data_boundary.test_detectors import JWT

REDACT = Boundary.from_json({"response": dict.fromkeys(DataClass, "redact")})
WINDOW = 512
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEabc/+ \n" * 300 + "-----END RSA PRIVATE KEY-----"
TEXTS = {
    "Mail jane@example.com, or call +1 415 555 2671 today.": "Mail [EMAIL_1], or call [PHONE_1] today.",
    "Card 4111 1111 1111 1111. Bye": "Card [CREDIT_CARD_1]. Bye",
    "IBAN DE89 3704 0044 0532 0130 00 it is": "IBAN [IBAN_1] it is",
    "SSN 536904399": "SSN [NATIONAL_ID_1]",
    f"token {JWT} end": "token [JWT_1] end",
    f"key:\n{KEY}\ndone": "key:\n[PRIVATE_KEY_1]\ndone",
    "VAT DE 136695976, GB NINO AB 12 34 56 C": "VAT [VAT_NUMBER_1], GB NINO [NATIONAL_ID_1]",
    "nothing here, 12 of 300 in 2024 (really)": "nothing here, 12 of 300 in 2024 (really)",
    "邮箱是 jane@example.com。谢谢": "邮箱是 [EMAIL_1]。谢谢",
}


def passed(
    text: str, cuts: list[int], *, window: int = WINDOW, boundary: Boundary = REDACT, **more: bool
) -> str:
    """The text after it came in these pieces."""
    channel = Channel(boundary, Redactor(restores=False), window, **more)
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    return "".join([*map(channel.feed, pieces), channel.finish()])


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_in_pieces_is_found_whole_wherever_it_is_cut(text):
    expected = TEXTS[text]

    assert passed(text, []) == expected
    assert passed(text, list(range(1, len(text)))) == expected
    for cut in range(1, min(len(text), 200)):
        assert passed(text, [cut]) == expected
    for seed in range(40):
        chooser = random.Random(seed)
        assert passed(text, [chooser.randrange(len(text)) for _ in range(8)]) == expected


@given(st.text(alphabet="ab1 +(@.-:\n", max_size=200), st.lists(st.integers(0, 200), max_size=20))
def test_nothing_is_lost_and_nothing_is_added_where_nothing_is_redacted(text, cuts):
    allow = Boundary.from_json({"response": dict.fromkeys(DataClass, "allow")})

    assert passed(text, [cut for cut in cuts if cut < len(text)], boundary=allow) == text


def test_no_more_than_the_window_is_held_back():
    channel = Channel(REDACT, Redactor(restores=False), 100)
    text = "x" * 5000 + " 1 2 3 4 5 6" * 400
    shown = 0

    for place, sign in enumerate(text, start=1):
        shown += len(channel.feed(sign))
        assert place - shown <= 100


def test_prose_is_late_by_no_more_than_its_last_word():
    channel = Channel(REDACT, Redactor(restores=False), WINDOW)

    assert [channel.feed(piece) for piece in ("The", " quick", " brown fo", "x.")] == [
        "", "The ", "quick brown ", "",
    ]  # fmt: skip
    assert channel.finish() == "fox."


def test_a_value_longer_than_the_window_is_replaced_and_its_rest_dropped():
    text = f"a {JWT[:60]}{'x' * 3000}.{'y' * 500} b"

    assert passed(text, list(range(1, len(text))), window=128) == "a [JWT_1] b"


def test_a_blocked_value_is_never_shown_in_part():
    channel = Channel(
        Boundary.from_json({"response": {"credit_card": "block"}}), Redactor(restores=False), WINDOW
    )
    shown = ""

    with pytest.raises(Blocked):
        for sign in "Card 4111 1111 1111 1111 ok":
            shown += channel.feed(sign)
        channel.finish()

    assert shown == "Card "


def test_arguments_stay_json_in_pieces():
    text = (
        '{"to": "a\\u0040example.com\\nb@example.com", "card": 4111111111111111, "s": "4111111111111111 x"}'
    )
    expected = '{"to": "[EMAIL_1]\\n[EMAIL_2]", "card": "[CREDIT_CARD_1]", "s": "[CREDIT_CARD_1] x"}'

    assert passed(text, [], is_json=True) == expected
    assert passed(text, list(range(1, len(text))), is_json=True) == expected
    for cut in range(1, len(text)):
        assert passed(text, [cut], is_json=True) == expected


def test_a_placeholder_of_the_request_is_turned_back_though_it_comes_in_pieces():
    redactor = Redactor(restores=True)
    redactor.placeholder(DataClass.EMAIL, "jane@example.com", Direction.REQUEST)
    channel = Channel(Boundary(restore=True), redactor, WINDOW)

    shown = "".join([channel.feed(sign) for sign in "To [EMAIL_1] and [EMAIL_2]."]) + channel.finish()

    assert shown == "To jane@example.com and [EMAIL_2]."
