"""The row in force is found by what was served and when, and nothing falls back in silence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.ai_usage.price_book import served_names, undated
from apps.ai_usage.pricing import InvalidRates, Mode, PriceBook, Unpriced
from apps.ai_usage.quantities import QuantityClass
from tests.factories.rates import NOW, START, rate_row, rate_rows

CHANGE = datetime(2026, 7, 30, tzinfo=UTC)


def input_cost(tariff) -> Decimal:
    """The rate of plain input in a tariff's first band."""
    return tariff.bands[0].by_class[QuantityClass.INPUT].rate.cost_per_million


def test_a_changed_price_holds_from_its_instant_on():
    book = PriceBook(
        [rate_row("input", "5", valid_to=CHANGE), rate_row("input", "4", valid_from=CHANGE, valid_to=None)]
    )

    before = book.tariff("openai", "gpt-4o", CHANGE - timedelta(microseconds=1))
    after = book.tariff("openai", "gpt-4o", CHANGE)

    assert input_cost(before) == 5
    assert input_cost(after) == 4


def test_classes_may_change_at_different_times():
    book = PriceBook(
        [
            rate_row("input", "5"),
            rate_row("output", "30", valid_to=CHANGE),
            rate_row("output", "20", valid_from=CHANGE),
        ]
    )

    after = book.tariff("openai", "gpt-4o", CHANGE)

    assert input_cost(after) == 5
    assert after.bands[0].by_class[QuantityClass.OUTPUT].rate.cost_per_million == 20


@pytest.mark.parametrize("at", [START - timedelta(days=1), CHANGE])
def test_outside_its_time_a_model_has_no_price(at):
    book = PriceBook([rate_row("input", "5", valid_to=CHANGE)])

    with pytest.raises(Unpriced):
        book.tariff("openai", "gpt-4o", at)


@pytest.mark.parametrize("other", [{"service_tier": "priority"}, {"mode": Mode.BATCH}, {"region": "us"}])
def test_a_tier_mode_or_region_without_rows_is_unpriced_before_the_call(other):
    book = PriceBook([rate_row("input", "5")])

    with pytest.raises(Unpriced):
        book.tariff("openai", "gpt-4o", NOW, **other)


def test_rows_that_overlap_are_refused():
    with pytest.raises(InvalidRates, match="two rates for input"):
        PriceBook([rate_row("input", "5"), rate_row("input", "4", valid_from=CHANGE)])


def test_two_currencies_in_one_tariff_are_refused():
    with pytest.raises(InvalidRates, match="EUR and USD"):
        PriceBook([rate_row("input", "5"), rate_row("output", "4", currency="EUR")])


def test_every_tariff_of_a_model_is_listed_for_a_bound_over_all_of_them():
    book = PriceBook(
        [
            rate_row("input", "5"),
            rate_row("input", "10", service_tier="priority"),
            rate_row("input", "2", mode=Mode.BATCH),
        ]
    )

    realtime = book.tariffs("openai", "gpt-4o", NOW, mode=Mode.REALTIME)

    assert sorted(map(input_cost, realtime)) == [5, 10]
    assert len(book.tariffs("openai", "gpt-4o", NOW)) == 3
    assert book.tariffs("openai", "unknown", NOW) == []


def test_the_served_snapshot_has_its_own_price_if_it_has_rows():
    book = PriceBook(rate_rows({"input": "2.5"}) + rate_rows({"input": "5"}, model="gpt-4o-2024-05-13"))

    dated = book.tariff_served("openai", "gpt-4o", "gpt-4o-2024-05-13", NOW)
    undated_one = book.tariff_served("openai", "gpt-4o", "gpt-4o-2024-08-06", NOW)

    assert (input_cost(dated.tariff), dated.anomaly) == (5, None)
    assert (input_cost(undated_one.tariff), undated_one.anomaly) == (Decimal("2.5"), None)


def test_a_served_tier_without_rows_takes_the_dearest_and_is_marked():
    book = PriceBook([rate_row("input", "5"), rate_row("input", "10", service_tier="priority")])

    served = book.tariff_served("openai", "gpt-4o", "gpt-4o", NOW, service_tier="ultrafast")

    assert input_cost(served.tariff) == 10
    assert served.anomaly == "unpriced_tier"


def test_a_served_model_without_rows_takes_the_dearest_of_the_target_and_is_marked():
    book = PriceBook([rate_row("input", "5")])

    served = book.tariff_served("openai", "gpt-4o", "mystery-9", NOW)

    assert input_cost(served.tariff) == 5
    assert served.anomaly == "unpriced_model"


def test_nothing_at_all_is_unpriced_even_after_the_call():
    with pytest.raises(Unpriced):
        PriceBook([]).tariff_served("openai", "gpt-4o", "gpt-4o", NOW)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("gpt-4o", "gpt-4o"),
        ("claude-3-5", "claude-3-5"),
        ("20250929", "20250929"),
        ("-20250929", "-20250929"),
        ("model-19991231", "model-19991231"),
        ("", ""),
    ],
)
def test_a_snapshot_date_is_taken_off_and_nothing_else(model, expected):
    assert undated(model) == expected


def test_the_names_to_try_begin_with_what_was_served():
    assert served_names("gpt-4o", "gpt-4o-2024-05-13") == ("gpt-4o-2024-05-13", "gpt-4o")
    assert served_names("gpt-4o", None) == ("gpt-4o",)
    assert served_names("gpt-4o", "other") == ("other",)
