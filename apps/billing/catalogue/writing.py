"""The catalogue in the form of its file."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import yaml

from apps.ai_usage.types import CatalogueEntries, PriceEntry, ProviderEntry, RouteEntry
from apps.billing.types import PlanInfo


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def write_catalogue(entries: CatalogueEntries, plans: Iterable[PlanInfo]) -> str:
    """Text that `catalogue apply` takes and that says all that is stored, except secrets themselves."""
    content = {
        "providers": [_provider(entry) for entry in entries.providers],
        "routes": [_route(entry) for entry in entries.routes],
        "prices": [_price(entry) for entry in entries.prices],
        "plans": [_plan(plan) for plan in plans],
    }
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _provider(entry: ProviderEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "dialect": entry.dialect,
        "base_url": entry.base_url,
        **({"credential": entry.credential_source} if entry.credential_source else {}),
        **({"region": entry.region} if entry.region else {}),
        "data_handling": {
            **({} if entry.retention_days is None else {"retention_days": entry.retention_days}),
            **({} if entry.trains_on_data is None else {"trains_on_data": entry.trains_on_data}),
        },
        **({"enabled": False} if entry.enabled is False else {}),
    }


def _route(entry: RouteEntry) -> dict[str, Any]:
    return {
        "model": entry.model,
        "targets": [
            {
                "provider": target.provider,
                "model": target.model,
                "priority": target.priority,
                "weight": target.weight,
            }
            for target in entry.targets
        ],
        "timeouts": {
            "connect": _number(entry.connect_timeout),
            "first_byte": _number(entry.first_byte_timeout),
            "between_bytes": _number(entry.between_bytes_timeout),
            "total": _number(entry.total_timeout),
        },
        "retries": {"attempts": entry.attempts, "total_seconds": _number(entry.retry_seconds)},
        "max_output_tokens": entry.max_output_tokens,
        **({"enabled": False} if entry.enabled is False else {}),
    }


def _price(entry: PriceEntry) -> dict[str, Any]:
    tariff, terms = entry.tariff, next(iter(entry.rates.values()), None)
    fixed = {name: rate.fixed_price for name, rate in entry.rates.items() if rate.fixed_price is not None}
    at_midnight = not (entry.valid_from.hour or entry.valid_from.minute or entry.valid_from.second)
    exact = bool(entry.valid_from.microsecond)
    return {
        "provider": tariff.provider,
        "model": tariff.model,
        "valid_from": entry.valid_from.date() if at_midnight and not exact else entry.valid_from.isoformat(),
        **({"service_tier": tariff.service_tier} if tariff.service_tier != "default" else {}),
        **({"context_min": tariff.context_min} if tariff.context_min else {}),
        **({"mode": tariff.mode} if tariff.mode != "realtime" else {}),
        **({"region": tariff.region} if tariff.region else {}),
        **({"currency": terms.currency} if terms and terms.currency != "USD" else {}),
        "cost_per_million": {name.value: _decimal(rate.cost) for name, rate in entry.rates.items()},
        **(
            {"price_per_million": {name.value: _decimal(price) for name, price in fixed.items()}}
            if fixed
            else {}
        ),
        **({"source": entry.source} if entry.source else {}),
    }


def _plan(plan: PlanInfo) -> dict[str, Any]:
    terms = plan.terms
    return {
        "name": terms.name,
        "price_per_month": _decimal(terms.price_per_month, least=2),
        "currency": terms.currency,
        "markup_percent": _decimal(terms.markup_percent),
        "models": list(terms.models),
        "features": dict(sorted(terms.features.items())),
        "limits": dict(sorted(terms.limits.items())),
    }


def _decimal(value: Decimal, least: int = 0) -> str:
    """Without trailing zeros, but with at least so many decimals where the value has none to lose."""
    text = f"{value.normalize():f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(least, '0')}" if decimals or least else whole


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value
