"""Money is exact, knows its currency, and refuses what it cannot hold."""

from decimal import Decimal

import pytest

from apps.money import (
    CurrencyMismatch,
    Money,
    NotExact,
    amount_from_pico,
    minor_digits,
    nano_up,
    parse_rate,
    pico_from_amount,
    rate_micro,
)


@pytest.mark.parametrize("text", ["0", "0.000001", "2.50", "0.1500000", "999999"])
def test_a_rate_has_at_most_six_decimals(text):
    rate = parse_rate(text)

    assert rate == Decimal(text)
    assert Decimal(rate_micro(rate)) == Decimal(text) * 10**6


@pytest.mark.parametrize(
    "bad", ["0.0000001", "-1", "NaN", "Infinity", "1E+999999999", "", "x", 1.5, True, None, "1" + "0" * 99]
)
def test_what_is_not_a_rate_is_refused(bad):
    with pytest.raises(NotExact):
        parse_rate(bad)


def test_amounts_go_to_integers_and_back_without_loss():
    amount = amount_from_pico(14_015_000_000)

    assert str(amount) == "0.014015000000"
    assert pico_from_amount(amount) == 14_015_000_000
    with pytest.raises(NotExact):
        pico_from_amount(Decimal("1E-13"))
    with pytest.raises(NotExact):
        amount_from_pico(10**38)


def test_a_hold_is_rounded_up():
    assert nano_up(Decimal("0.000000001")) == 1
    assert nano_up(Decimal("0.000000001001")) == 2
    assert nano_up(Decimal(0)) == 0


def test_money_adds_within_a_currency_only():
    assert Money.of("1.10", "USD") + Money.of("2.2", "USD") == Money.of("3.30", "USD")
    assert Money.of(1, "USD") - Money.of(3, "USD") == -Money.of(2, "USD")
    assert Money.zero("USD") < Money.of("0.01", "USD") <= Money.of("0.01", "USD")
    assert str(Money.of("0.10", "EUR")) == "0.10 EUR"
    with pytest.raises(CurrencyMismatch):
        Money.of(1, "USD") + Money.of(1, "EUR")


@pytest.mark.parametrize("bad", [1.0, True, "one", None])
def test_money_is_not_made_of_guesses(bad):
    with pytest.raises(NotExact):
        Money.of(bad, "USD")


def test_money_holds_a_finite_decimal():
    with pytest.raises(NotExact):
        Money(1.0, "USD")
    with pytest.raises(NotExact):
        Money(Decimal("NaN"), "USD")


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("jpy", 0), ("KWD", 3)])
def test_a_currency_knows_its_smallest_unit(currency, digits):
    assert minor_digits(currency) == digits
