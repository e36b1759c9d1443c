"""What holds for rating whatever the rates and quantities are."""

import random
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from apps import money
from apps.ai_usage.pricing import PriceBook, build_price, rate, upper_bound
from apps.ai_usage.quantities import DISJOINT_CLASSES, Quantities
from tests.factories.rates import NOW, rate_rows

_RATES = st.decimals(0, 10**6, places=6, allow_nan=False, allow_infinity=False).map(str)
_COUNTS = st.integers(0, 10**9)
PRICES = st.fixed_dictionaries({str(name): _RATES for name in DISJOINT_CLASSES})
USED = st.builds(Quantities, **{str(name): _COUNTS for name in DISJOINT_CLASSES}, reasoning=st.just(0))


@given(PRICES, USED)
def test_the_cost_is_the_exact_sum_of_quantity_times_rate(costs, used):
    priced = PriceBook(rate_rows(costs)).tariff("openai", "gpt-4o", NOW)

    rated = rate(priced, used)

    exact = sum(
        (Fraction(costs[str(name)]) * getattr(used, name) / 10**6 for name in DISJOINT_CLASSES), Fraction(0)
    )
    assert Fraction(rated.cost) == exact
    assert rated.cost.as_tuple().exponent == -12
    assert sum((line.cost for line in rated.lines), Decimal(0)) == rated.cost
    assert rated.cost >= 0


@given(PRICES, USED, USED)
def test_rating_is_additive(costs, one, other):
    priced = PriceBook(rate_rows(costs)).tariff("openai", "gpt-4o", NOW)

    together = rate(priced, one + other)

    assert together.cost == rate(priced, one).cost + rate(priced, other).cost


@given(PRICES, USED, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(costs, used, shuffler: random.Random):
    rows = rate_rows(costs)
    shuffled = rows[:]
    shuffler.shuffle(shuffled)

    one = rate(PriceBook(rows).tariff("openai", "gpt-4o", NOW), used)
    other = rate(PriceBook(shuffled).tariff("openai", "gpt-4o", NOW), used)

    assert one == other


@given(PRICES, PRICES, USED)
def test_the_upper_bound_holds_for_every_way_the_call_may_turn_out(costs, long_costs, used):
    rows = rate_rows(costs) + rate_rows(long_costs, context_min=272_000)
    priced = PriceBook(rows).tariff("openai", "gpt-4o", NOW)

    bound = upper_bound([priced], used.total_input, used.total_output, requests=used.requests)

    assert rate(priced, used).price <= bound
    assert rate(priced, used, at_safe_rate=True).price <= bound
    assert rate(priced, used).price <= rate(priced, used, at_safe_rate=True).price


@given(_RATES, st.decimals(-100, 10**4, places=4, allow_nan=False, allow_infinity=False))
def test_a_built_price_is_within_half_a_millionth_of_the_exact_one(cost, markup):
    built = build_price(Decimal(cost), markup)

    exact = Fraction(cost) * (100 + Fraction(markup)) / 100
    assert -Fraction(1, 2_000_000) < Fraction(built) - exact <= Fraction(1, 2_000_000)
    assert money.parse_rate(built) == built


@given(st.integers(0, 10**30))
def test_a_hold_in_nano_units_is_never_less_than_the_amount(pico):
    amount = money.amount_from_pico(pico)

    nano = money.nano_up(amount)

    assert 0 <= nano * 1000 - pico < 1000
    assert money.pico_from_amount(amount) == pico
