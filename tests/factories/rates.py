"""Rate rows and tariffs for tests, from the numbers that matter."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from apps.ai_usage.pricing import PriceBook, Rate, Tariff
from apps.ai_usage.quantities import quantity_class

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def rate_row(name: str, cost: str, price: str | None = None, **changes: Any) -> Rate:
    """One row; the price is the cost unless given. Its id follows from what it says."""
    fields: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "valid_from": START} | changes
    described = f"{name} {cost} {price} {sorted(map(str, fields.items()))}"
    return Rate(
        id=uuid5(NAMESPACE_URL, described),
        quantity_class=quantity_class(name),
        cost_per_million=Decimal(cost),
        price_per_million=Decimal(price or cost),
        **fields,
    )


def rate_rows(costs: dict[str, str], **changes: Any) -> list[Rate]:
    """Rows for several classes that agree in everything else."""
    return [rate_row(name, cost, **changes) for name, cost in costs.items()]


def tariff(costs: dict[str, str], **changes: Any) -> Tariff:
    """The tariff made of these costs."""
    rows = rate_rows(costs, **changes)
    return PriceBook(rows).tariff(rows[0].provider, rows[0].model, NOW)
