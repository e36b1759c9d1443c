"""How amounts, counts and times are written."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.templatetags.formatting import (
    MINUS,
    axis_labels,
    compact,
    duration,
    exact,
    machine_time,
    moment_in_full,
    money_pieces,
    percent,
    plain_money,
    relative,
)


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        ("1204.374182", "USD", "$1,204.374182"),
        ("0.000216", "USD", "$0.000216"),
        ("12", "USD", "$12.00"),
        ("12.50000000", "EUR", "€12.50"),
        ("0", "USD", "$0.00"),
        ("-12.5", "USD", f"{MINUS}$12.50"),
        ("0.000000000001", "USD", "$0.000000000001"),
        ("1200", "JPY", "¥1,200"),
        ("1E+3", "SEK", "SEK\u00a01,000.00"),
    ],
)
def test_an_amount_is_written_to_its_last_digit_and_no_further(amount, currency, written):
    assert plain_money(Decimal(amount), currency) == written


@given(st.integers(min_value=-(10**38), max_value=10**38).map(lambda pico: Decimal(f"{pico}E-12")))
def test_what_is_written_reads_back_as_the_same_amount(amount):
    written = "".join(piece.text for piece in money_pieces(amount, "USD", align=12) if not piece.pad)

    assert Decimal(written.replace("$", "").replace(",", "").replace(MINUS, "-")) == amount


@given(st.decimals(min_value=0, max_value=Decimal("1e6"), places=9), st.integers(min_value=0, max_value=12))
def test_every_amount_of_an_aligned_column_has_as_many_places(amount, align):
    pieces = money_pieces(amount, "USD", align=align)

    fraction = "".join(piece.text for piece in pieces).partition(".")[2]
    assert len(fraction) >= max(align, 2)


def test_below_a_cent_the_leading_zeros_are_faint_and_the_digits_are_not():
    pieces = money_pieces(Decimal("0.000216"), "USD")

    assert [(piece.text, piece.faint) for piece in pieces] == [
        ("$0", True),
        (".", True),
        ("000", True),
        ("216", False),
    ]


def test_above_a_cent_the_digits_below_it_are_faint():
    pieces = money_pieces(Decimal("0.374182"), "USD")

    assert [(piece.text, piece.faint) for piece in pieces] == [
        ("$0", False),
        (".", False),
        ("37", False),
        ("4", True),
        ("182", True),
    ]


@pytest.mark.parametrize("value", [0.1, True, "12", None])
def test_only_exact_numbers_are_written(value):
    with pytest.raises(TypeError):
        exact(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (12_345, "12.3k"),
        (999_950, "1M"),
        (12_345_678, "12.3M"),
        (-1500, f"{MINUS}1.5k"),
        (3 * 10**15, "3,000T"),
    ],
)
def test_a_compact_count_keeps_three_digits(value, written):
    assert compact(value) == written


@pytest.mark.parametrize(
    ("ratio", "written"),
    [("0.0123", "1.2%"), ("0", "0%"), ("1", "100%"), ("0.00001", "<\u20090.1%"), ("-0.05", f"{MINUS}5%")],
)
def test_a_ratio_too_small_to_show_is_not_shown_as_zero(ratio, written):
    assert percent(Decimal(ratio)) == written


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [(843, "843 ms"), (1240, "1.24 s"), (6000, "6 s"), (75_000, "1 min 15 s"), (Decimal("0.4"), "0.4 ms")],
)
def test_a_duration_takes_the_unit_that_fits(milliseconds, written):
    assert duration(milliseconds) == written


@pytest.mark.parametrize(
    ("ago", "written"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=30), "30 d ago"),
        (timedelta(days=31), "24 Oct 2026"),
        (timedelta(days=-5), "in 5 d"),
    ],
)
def test_a_moment_is_written_relative_to_now_for_a_month(ago, written):
    now = datetime(2026, 11, 24, 14, 2, 11, tzinfo=UTC)

    assert relative(now - ago, now) == written


def test_moments_are_written_in_utc_for_people_and_for_machines():
    moment = datetime.fromisoformat("2026-11-24T16:02:11+02:00")

    assert moment_in_full(moment) == "24 Nov 2026, 14:02:11 UTC"
    assert machine_time(moment) == "2026-11-24T14:02:11Z"
    assert machine_time(date(2026, 11, 24)) == "2026-11-24"


def test_the_ticks_of_a_money_axis_have_the_same_decimals():
    ticks = [Decimal(0), Decimal("0.05"), Decimal("0.1")]

    assert axis_labels(ticks, "money", "USD") == ["$0.00", "$0.05", "$0.10"]
    assert axis_labels([Decimal(0), Decimal(10)], "money", "USD") == ["$0", "$10"]
