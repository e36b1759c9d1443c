"""Cents that add up."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.billing.allocation import allocate, from_minor, sum_exact, to_minor

AMOUNTS = st.lists(st.integers(-(10**16), 10**16).map(lambda pico: Decimal(pico).scaleb(-12)), max_size=60)
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD"])


def test_three_thirds_of_a_cent_give_the_cent_to_the_first_line():
    third = Decimal("0.003333333333")

    allocated = allocate([third, third, third], "USD")

    assert allocated.shares == (1, 0, 0)
    assert (allocated.total_minor, allocated.remainder) == (1, Decimal("-0.000000000001"))


def test_yen_have_no_cents():
    allocated = allocate([Decimal("10.4"), Decimal("10.4")], "JPY")

    assert (allocated.total_minor, allocated.shares) == (21, (11, 10))
    assert allocated.remainder == Decimal("-0.2")


def test_an_invoice_of_nothing_is_nothing():
    assert allocate([], "USD").shares == ()
    assert allocate([], "USD").total_minor == 0


@given(AMOUNTS, CURRENCIES)
def test_lines_add_up_to_the_total_and_none_is_a_whole_unit_off(amounts, currency):
    allocated = allocate(amounts, currency)

    assert sum(allocated.shares) == allocated.total_minor
    for amount, share in zip(amounts, allocated.shares, strict=True):
        assert abs(from_minor(share, currency) - amount) < from_minor(1, currency)
    exact = sum_exact(amounts)
    assert from_minor(allocated.total_minor, currency) + allocated.remainder == exact
    assert abs(allocated.remainder) * 2 <= from_minor(1, currency)


@given(st.integers(-(10**16), 10**16).map(lambda pico: Decimal(pico).scaleb(-12)), CURRENCIES)
def test_a_charge_and_its_reversal_cancel(amount, currency):
    assert to_minor(amount, currency) == -to_minor(-amount, currency)
