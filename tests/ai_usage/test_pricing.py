"""Calls are priced exactly: the known bills, the bands, the safe rate; no price is never a price of zero."""

import decimal
from decimal import Decimal

import pytest

from apps import money
from apps.ai_usage.normalise import estimate, normalise
from apps.ai_usage.pricing import (
    PriceBook,
    Unpriced,
    build_price,
    marked_up,
    rate,
    rate_after_call,
    upper_bound,
    upper_bound_pico,
)
from apps.ai_usage.quantities import Quantities, QuantityClass
from tests.factories.rates import NOW, rate_row, rate_rows, tariff

FALLBACK = estimate(request_bytes=100)


def cost_of(dialect: str, usage: dict[str, object], costs: dict[str, str], **changes: object) -> Decimal:
    """What a provider's usage comes to at these rates."""
    normalised = normalise(dialect, "chat.completions", usage, fallback=FALLBACK)
    assert normalised.anomaly is None
    return rate(tariff(costs, **changes), normalised.quantities).cost


def test_vector_1_anthropic_cache_writes_are_not_input_as_well():
    usage = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 12304,
        "cache_read_input_tokens": 0,
        "output_tokens": 550,
    }

    cost = cost_of("anthropic", usage, {"input": "3", "cache_write": "3.75", "output": "15"})

    assert cost == Decimal("0.054399")


def test_vector_2_openai_cache_writes_are_not_free():
    usage = {
        "prompt_tokens": 2219,
        "completion_tokens": 5,
        "total_tokens": 2224,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 2216},
    }

    cost = cost_of(
        "openai", usage, {"input": "5", "cache_write": "6.25", "cache_read": "0.5", "output": "30"}
    )

    assert cost == Decimal("0.014015")


def test_vector_3_a_long_prompt_is_priced_by_its_band_as_a_whole():
    usage = {"prompt_tokens": 301025, "completion_tokens": 5, "total_tokens": 301030}
    short = rate_rows({"input": "2.75", "output": "16.5"})
    long = rate_rows({"input": "5.50", "output": "24.75"}, context_min=272_000)
    normalised = normalise("openai", "chat.completions", usage, fallback=FALLBACK)

    rated = rate(PriceBook(short + long).tariff("openai", "gpt-4o", NOW), normalised.quantities)

    assert rated.cost == Decimal("1.65576125")
    assert {line.rate.id for line in rated.lines} == {row.id for row in long}


def test_vector_4_cached_tokens_are_part_of_the_prompt():
    usage = {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920},
    }

    cost = cost_of("openai", usage, {"input": "2.5", "cache_read": "1.25", "output": "10"})

    assert cost == Decimal("0.005615")


def test_vector_5_a_million_tokens_mostly_cached():
    usage = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 900_000},
    }

    cost = cost_of("openai", usage, {"input": "2.5", "cache_read": "1.25"})

    assert cost == Decimal("1.375")


def test_vector_6_an_hour_in_the_cache_costs_more_than_five_minutes():
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 9634,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9634},
    }

    cost = cost_of("anthropic", usage, {"input": "5", "cache_write_5m": "6.25", "cache_write_1h": "10"})

    assert cost == Decimal("0.09634")


def test_a_class_with_units_and_no_rate_is_an_error_that_names_it():
    priced = tariff({"input": "3", "output": "15"})

    with pytest.raises(Unpriced) as refused:
        rate(priced, Quantities(input=1, cache_read=7))

    assert refused.value.missing == "cache_read"
    assert refused.value.code == "model_unpriced"
    assert refused.value.details == {"provider": "openai", "model": "gpt-4o", "missing": "cache_read"}


def test_a_rate_of_zero_is_a_rate_when_it_is_written_down():
    free = tariff({"input": "0", "output": "0"})

    rated = rate(free, Quantities(input=1000, output=1000))

    assert rated.cost == 0
    assert [line.quantity for line in rated.lines] == [1000, 1000]


def test_classes_without_units_make_no_lines():
    priced = tariff({"input": "3", "cache_read": "1", "output": "15"})

    rated = rate(priced, Quantities(output=2))

    assert [(line.rate.quantity_class, line.quantity) for line in rated.lines] == [(QuantityClass.OUTPUT, 2)]


def test_a_line_says_everything_that_repeats_its_arithmetic():
    row = rate_row("input", "2.5", "3")

    (line,) = rate(PriceBook([row]).tariff("openai", "gpt-4o", NOW), Quantities(input=7)).lines

    assert line.as_dict() == {
        "class": "input",
        "quantity": 7,
        "rate_id": str(row.id),
        "price_id": str(row.id),
        "cost_per_million": "2.5",
        "price_per_million": "3",
        "cost": "0.000017500000",
        "price": "0.000021000000",
    }


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [(271_999, "1"), (272_000, "1"), (272_001, "2"), (0, "1"), (10**9, "2")],
)
def test_a_band_begins_above_its_threshold(prompt, expected):
    rows = rate_rows({"input": "1"}) + rate_rows({"input": "2"}, context_min=272_000)

    band = PriceBook(rows).tariff("openai", "gpt-4o", NOW).band(prompt)

    assert band.by_class[QuantityClass.INPUT].rate.cost_per_million == Decimal(expected)


def test_a_band_that_lacks_a_class_does_not_borrow_it_from_another():
    rows = rate_rows({"input": "1", "cache_read": "0.1"}) + rate_rows({"input": "2"}, context_min=100)
    priced = PriceBook(rows).tariff("openai", "gpt-4o", NOW)

    with pytest.raises(Unpriced):
        rate(priced, Quantities(input=100, cache_read=1))


def test_reasoning_has_a_line_of_its_own_only_where_it_has_a_rate_of_its_own():
    used = Quantities(output=100, reasoning=40)

    inside = rate(tariff({"output": "10"}), used)
    beside = rate(tariff({"output": "10", "reasoning": "20"}), used)
    only = rate(tariff({"output": "10", "reasoning": "20"}), Quantities(output=40, reasoning=40))

    assert inside.cost == Decimal("0.001")
    assert beside.cost == Decimal("0.0014")
    assert [line.quantity for line in beside.lines] == [60, 40]
    assert [line.quantity for line in only.lines] == [40]


def test_the_safe_rate_is_the_dearest_of_each_side():
    priced = tariff(
        {"input": "3", "cache_read": "0.3", "cache_write_1h": "6", "output": "15", "requests": "5"}
    )

    rated = rate(priced, Quantities(input=10, cache_read=90, output=4, requests=2), at_safe_rate=True)

    assert [(line.rate.quantity_class, line.quantity) for line in rated.lines] == [
        (QuantityClass.CACHE_WRITE_1H, 100),
        (QuantityClass.OUTPUT, 4),
        (QuantityClass.REQUESTS, 2),
    ]
    assert rated.cost == Decimal("0.00067")


def test_after_a_call_a_missing_rate_becomes_the_safe_rate_and_an_anomaly():
    priced = tariff({"input": "3", "output": "15"})

    rated = rate_after_call(priced, Quantities(input=10, image_input=90, output=4, requests=2))

    assert rated.cost == Decimal("0.00036")
    assert rated.anomaly == "unpriced: image_input"
    assert rated.unpriced == (QuantityClass.REQUESTS,)


def test_after_a_call_that_is_fully_priced_nothing_is_marked():
    priced = tariff({"input": "3", "output": "15"})
    used = Quantities(input=10, output=4)

    assert rate_after_call(priced, used) == rate(priced, used)
    assert rate_after_call(priced, used, anomaly="zero_input").anomaly == "zero_input"


def test_after_a_call_output_without_an_output_rate_is_still_charged():
    rated = rate_after_call(tariff({"input": "0.02"}), Quantities(input=10, output=5))

    assert rated.cost == Decimal("0.0000003")
    assert rated.anomaly == "unpriced: output"


def test_an_upper_bound_is_the_dearest_of_targets_bands_and_classes():
    cheap = tariff({"input": "1", "cache_write_5m": "1.25", "output": "2"})
    rows = rate_rows({"input": "3", "cache_write_5m": "4", "output": "5"}, model="other")
    rows += rate_rows({"input": "6", "cache_write_5m": "8", "output": "9"}, model="other", context_min=1000)
    dear = PriceBook(rows).tariff("openai", "other", NOW)

    assert upper_bound([cheap, dear], 1000, 100) == Decimal("0.0045")
    assert upper_bound([cheap, dear], 1001, 100) == Decimal("0.008908")
    assert upper_bound([cheap], 1000, 100, input_classes={QuantityClass.INPUT}) == Decimal("0.0012")
    assert money.nano_up_from_pico(upper_bound_pico([cheap], 1, 0)) == 1250


def test_an_upper_bound_can_be_of_cost_instead_of_price():
    rows = [rate_row("input", "2", "3"), rate_row("cache_read", "5", "1")]
    priced = PriceBook(rows).tariff("openai", "gpt-4o", NOW)

    assert upper_bound([priced], 10, 0) == Decimal("0.00003")
    assert upper_bound([priced], 10, 0, of="cost") == Decimal("0.00005")


def test_an_upper_bound_of_what_cannot_be_priced_is_refused():
    embedding = tariff({"input": "0.02"})

    with pytest.raises(Unpriced):
        upper_bound([embedding], 10, 1)
    with pytest.raises(Unpriced):
        upper_bound([embedding], 10, 0, requests=1)
    with pytest.raises(ValueError, match="at least one tariff"):
        upper_bound([], 10, 1)


@pytest.mark.parametrize(
    ("cost", "markup", "price"),
    [
        ("0.15", "20", "0.18"),
        ("0.000001", "50", "0.000002"),
        ("0.000001", "49.99", "0.000001"),
        ("3.333333", "7.5", "3.583333"),
        ("10", "-100", "0"),
        ("2.5", "0", "2.5"),
    ],
)
def test_a_price_is_built_once_and_rounded_half_up(cost, markup, price):
    built = build_price(Decimal(cost), Decimal(markup))

    assert built == Decimal(price)
    assert built.as_tuple().exponent == -6


def test_a_price_cannot_be_built_below_nothing_or_from_a_float():
    with pytest.raises(money.NotExact):
        build_price(Decimal(1), Decimal("-100.01"))
    with pytest.raises(money.NotExact):
        build_price(1.5, Decimal(10))


def test_a_plan_sells_the_same_rows_at_its_own_markup():
    rows = rate_rows({"input": "2.5", "output": "10"})

    sold = marked_up(rows, Decimal(20))

    assert [row.price_per_million for row in sold] == [Decimal(3), Decimal(12)]
    assert [row.cost_per_million for row in sold] == [Decimal("2.5"), Decimal(10)]
    assert [row.id for row in sold] == [row.id for row in rows]


def test_rating_works_where_every_rounding_is_an_error():
    strict = decimal.Context(prec=38, traps=[decimal.Inexact, decimal.Rounded, decimal.FloatOperation])
    priced = tariff({"input": "0.000001", "cache_read": "0.333333", "output": "99999.999999"})

    with decimal.localcontext(strict):
        rated = rate(priced, Quantities(input=999_999_999, cache_read=1, output=999_999_999))

        assert rated.cost == Decimal("99999999.900000333333")
        assert sum((line.cost for line in rated.lines), Decimal(0)) == rated.cost
