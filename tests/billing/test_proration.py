"""What a month's fee comes to for a part of the month."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.billing.allocation import sum_exact
from apps.billing.proration import Stretch, fees

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def test_a_whole_month_is_the_price_itself():
    [fee] = fees([Stretch("solo", Decimal("20"), START - timedelta(days=90))], START, END)

    assert (fee.amount, fee.whole) == (Decimal("20"), True)


def test_ten_of_thirty_days_are_a_third_to_the_twelfth_decimal():
    [fee] = fees([Stretch("solo", Decimal("20"), START + timedelta(days=20))], START, END)

    assert fee.amount == Decimal("6.666666666667")
    assert (fee.starts_at, fee.ends_at, fee.whole) == (START + timedelta(days=20), END, False)


def test_a_change_of_plan_in_mid_month_charges_each_for_its_time():
    middle = START + timedelta(days=15)

    found = fees(
        [Stretch("solo", Decimal("20"), START, middle), Stretch("team", Decimal("500"), middle)], START, END
    )

    assert [(fee.plan, fee.amount) for fee in found] == [("solo", Decimal("10")), ("team", Decimal("250"))]


def test_a_change_of_limits_alone_leaves_one_line_at_the_full_price():
    cut = START + timedelta(days=7, seconds=13)

    found = fees(
        [Stretch("solo", Decimal("20"), START, cut), Stretch("solo", Decimal("20"), cut)], START, END
    )

    assert [(fee.plan, fee.amount, fee.whole) for fee in found] == [("solo", Decimal("20"), True)]


def test_a_period_that_ends_early_charges_by_the_length_of_its_month():
    [fee] = fees(
        [Stretch("solo", Decimal("20"), START + timedelta(days=20), START + timedelta(days=23))],
        START,
        START + timedelta(days=23),
        month=(START, END),
    )

    assert (fee.amount, fee.whole) == (Decimal("2"), False)


def test_a_subscription_of_another_month_costs_nothing_in_this_one():
    assert fees([Stretch("solo", Decimal("20"), END)], START, END) == []
    assert fees([Stretch("solo", Decimal("20"), START - timedelta(days=9), START)], START, END) == []


@given(
    st.lists(st.integers(0, 30 * 86_400 * 10**6), max_size=12, unique=True),
    st.integers(0, 10**9).map(lambda cents: Decimal(cents).scaleb(-2)),
)
def test_however_often_a_month_is_cut_the_parts_of_one_price_are_the_price(cuts, price):
    moments = [START + timedelta(microseconds=cut) for cut in sorted(cuts)]
    bounds = [START, *moments, END]
    # Other plans' names, so that nothing is joined.
    stretches = [
        Stretch(f"plan-{number}", price, start, end) for number, (start, end) in enumerate(pairwise(bounds))
    ]

    found = fees(stretches, START, END)

    assert sum_exact([fee.amount for fee in found]) == price
