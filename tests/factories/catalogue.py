"""Providers, routes and prices of the test database: every model the simulator serves, sold at cost plus 20 %."""

from datetime import UTC, datetime
from decimal import Decimal

from apps.ai_usage.models import CostRate, Credential, PriceRate, Provider, Route, RouteTarget
from apps.ai_usage.pricing import build_price
from tests.factories.tenants import PRICE_LIST

COSTS = {
    ("openai", "gpt-4o-mini"): {"input": "0.15", "cache_read": "0.075", "output": "0.60"},
    ("openai", "gpt-4o"): {"input": "2.50", "cache_read": "1.25", "output": "10.00"},
    ("openai", "text-embedding-3-small"): {"input": "0.02"},
    ("anthropic", "claude-sonnet-5-5"): {
        "input": "3",
        "cache_read": "0.30",
        "cache_write_5m": "3.75",
        "cache_write_1h": "6",
        "output": "15",
    },
}
MARKUP = Decimal(20)


def make_catalogue(simulator_url: str) -> None:
    """Point two providers at a simulator; routes carry the models' own names. Control plane, public scope."""
    providers = {
        "openai": Provider.objects.create(name="openai", dialect="openai", base_url=f"{simulator_url}/v1"),
        "anthropic": Provider.objects.create(name="anthropic", dialect="anthropic", base_url=simulator_url),
    }
    from apps.ai_usage import credentials

    for provider in providers.values():
        Credential.objects.create(
            provider=provider,
            source="env:TEST",
            ciphertext=credentials.encrypt(b"sk-test", bound_to=f"provider:{provider.pk}"),
        )
    for (provider, model), costs in COSTS.items():
        add_route(providers[provider], model, costs)


def add_route(
    provider: Provider, model: str, costs: dict[str, str], *, served_as: str | None = None, **bounds: float
) -> Route:
    """One route to one target, priced."""
    route = Route.objects.create(
        model=model, first_byte_timeout=bounds.pop("first_byte_timeout", 5), **bounds
    )
    RouteTarget.objects.create(route=route, provider=provider, model=served_as or model)
    price(provider, served_as or model, costs)
    return route


def price(provider: Provider, model: str, costs: dict[str, str]) -> None:
    """Cost rows since the beginning of 2026, and what the test price list makes of them."""
    for name, cost in costs.items():
        rate = CostRate.objects.create(
            provider=provider,
            model=model,
            quantity_class=name,
            cost_per_million=Decimal(cost),
            valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        )
        PriceRate.objects.create(
            price_list=PRICE_LIST, cost_rate=rate, price_per_million=build_price(Decimal(cost), MARKUP)
        )
