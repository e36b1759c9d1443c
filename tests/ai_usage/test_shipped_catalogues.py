"""The catalogues that ship are readable, complete, sourced, and price the known bills."""

import re
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest

from apps.ai_usage.normalise import Endpoint, estimate, normalise
from apps.ai_usage.pricing import Mode, PriceBook, Rate, rate
from apps.ai_usage.quantities import QuantityClass
from apps.ai_usage.rate_changes import plan_rate_changes
from apps.billing.catalogue.reading import read_catalogue
from apps.billing.types import CatalogueFile

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "catalogues"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
FILES = ["openai", "anthropic", "demo"]


@cache
def shipped(name: str) -> CatalogueFile:
    """A shipped file, read as an operator's own would be."""
    text = (FOLDER / f"{name}.yaml").read_text()
    return read_catalogue(text, resolve=lambda source: "http://127.0.0.1:8010/v1", now=NOW)


@cache
def book(name: str) -> PriceBook:
    """The price book that applying the file makes, at cost."""
    by_tariff = defaultdict(list)
    for entry in shipped(name).entries.prices:
        by_tariff[entry.tariff].append(entry)
    rates = []
    for tariff, entries in by_tariff.items():
        changes = plan_rate_changes(tariff, [], entries, now=NOW)
        assert changes.problems == []
        rates += [
            Rate(
                id=uuid5(NAMESPACE_URL, f"{tariff} {row.quantity_class} {row.valid_from}"),
                provider=tariff.provider,
                model=tariff.model,
                quantity_class=row.quantity_class,
                cost_per_million=row.terms.cost,
                price_per_million=row.terms.cost,
                valid_from=row.valid_from,
                valid_to=row.valid_to,
                service_tier=tariff.service_tier,
                mode=Mode(tariff.mode),
                region=tariff.region,
                context_min=tariff.context_min,
                source=row.source,
            )
            for row in changes.begun
        ]
    return PriceBook(rates)


@pytest.mark.parametrize("name", FILES)
def test_every_price_says_where_it_was_read_and_when(name):
    prices = shipped(name).entries.prices

    unsourced = [price.line for price in prices if not re.search(r"https://.*\b2026-\d\d", price.source)]

    assert unsourced == []


@pytest.mark.parametrize("name", FILES)
def test_every_routed_model_is_priced_in_real_time_and_in_batches(name):
    prices = book(name)

    for route in shipped(name).entries.routes:
        for target in route.targets:
            sides = {QuantityClass.INPUT} | (set() if "embedding" in target.model else {QuantityClass.OUTPUT})
            for mode in Mode:
                for band in prices.tariff(target.provider, target.model, NOW, mode=mode).bands:
                    assert sides <= set(band.by_class), (target.model, mode)


@pytest.mark.parametrize("name", FILES)
def test_a_longer_context_prices_the_same_classes_and_never_costs_less(name):
    prices = book(name)

    for route in shipped(name).entries.routes:
        target = route.targets[0]
        for tariff in prices.tariffs(target.provider, target.model, NOW):
            short = tariff.bands[0].by_class
            for band in tariff.bands[1:]:
                assert set(band.by_class) == set(short), tariff.key
                assert all(band.by_class[name].cost >= short[name].cost for name in short), tariff.key


@pytest.mark.parametrize("name", FILES)
def test_reading_from_the_cache_is_never_dearer_than_writing_to_it_or_plain_input(name):
    prices = book(name)

    for route in shipped(name).entries.routes:
        target = route.targets[0]
        for tariff in prices.tariffs(target.provider, target.model, NOW):
            for band in tariff.bands:
                costs = {one: row.cost for one, row in band.by_class.items()}
                plain = costs[QuantityClass.INPUT]
                assert costs.get(QuantityClass.CACHE_READ, 0) <= plain, tariff.key
                short = costs.get(QuantityClass.CACHE_WRITE_5M, plain)
                assert plain <= short <= costs.get(QuantityClass.CACHE_WRITE_1H, short), tariff.key


def test_a_price_change_of_the_past_is_told_with_its_date():
    prices = book("openai")

    before = prices.tariff("openai", "gpt-5.6-sol", datetime(2026, 8, 20, tzinfo=UTC))
    after = prices.tariff("openai", "gpt-5.6-sol", datetime(2026, 8, 21, tzinfo=UTC))

    assert before.bands[0].by_class[QuantityClass.INPUT].rate.cost_per_million == 5
    assert after.bands[0].by_class[QuantityClass.INPUT].rate.cost_per_million == 4


def test_a_price_change_that_is_announced_holds_from_its_date():
    prices = book("openai")

    march = datetime(2027, 3, 1, tzinfo=UTC)
    now = prices.tariff("openai", "gpt-6.2-sol", NOW, service_tier="ultrafast")
    then = prices.tariff("openai", "gpt-6.2-sol", march, service_tier="ultrafast")

    assert now.bands[0].by_class[QuantityClass.OUTPUT].rate.cost_per_million == 30
    assert then.bands[0].by_class[QuantityClass.OUTPUT].rate.cost_per_million == 60


@pytest.mark.parametrize(
    ("file", "model", "at", "usage", "cost"),
    [
        (
            "openai",
            "gpt-4o",
            NOW,
            {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "prompt_tokens_details": {"cached_tokens": 1920},
            },
            "0.005615",
        ),
        (
            "openai",
            "gpt-5.6-sol",
            datetime(2026, 8, 1, tzinfo=UTC),
            {
                "prompt_tokens": 2219,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 2216},
            },
            "0.014015",
        ),
        (
            "openai",
            "gpt-5.4",
            NOW,
            {"prompt_tokens": 301025, "completion_tokens": 5},
            "1.5052375",
        ),
        (
            "anthropic",
            "claude-sonnet-4-5",
            NOW,
            {"input_tokens": 3, "cache_creation_input_tokens": 12304, "output_tokens": 550},
            "0.054399",
        ),
        (
            "anthropic",
            "claude-opus-5",
            NOW,
            {
                "input_tokens": 0,
                "cache_creation_input_tokens": 9634,
                "cache_creation": {"ephemeral_1h_input_tokens": 9634},
                "output_tokens": 0,
            },
            "0.09634",
        ),
        (
            "anthropic",
            "claude-haiku-5-5",
            NOW,
            {"input_tokens": 1, "cache_read_input_tokens": 100_000, "output_tokens": 10},
            "0.0050255",
        ),
    ],
)
def test_known_bills_come_out_of_the_shipped_prices(file, model, at, usage, cost):
    normalised = normalise(file, Endpoint.CHAT_COMPLETIONS, usage, fallback=estimate(request_bytes=1))

    rated = rate(book(file).tariff(file, model, at), normalised.quantities)

    assert normalised.anomaly is None
    assert rated.cost == Decimal(cost)


def test_the_demo_sells_what_its_plans_name():
    demo = shipped("demo")

    routed = {route.model for route in demo.entries.routes}
    plans = {plan.terms.name: plan.terms for plan in demo.plans}

    assert set(plans) == {"starter", "business"}
    assert set(plans["business"].models) == routed
    assert set(plans["starter"].models) < routed
    assert (plans["starter"].features["sso"], plans["business"].features["sso"]) == (False, True)
    assert all("spend_per_month" in plan.limits for plan in plans.values())
