"""Reading the catalogue as the gateway needs it: routes with their targets, and a price list's rates."""

from uuid import UUID

from django.db import connection

from apps.ai_usage.credentials import provider_secret
from apps.ai_usage.models import Credential, PriceRate, Route
from apps.ai_usage.price_book import PriceBook
from apps.ai_usage.quantities import QuantityClass
from apps.ai_usage.tariffs import STANDARD_TIER, Mode, Rate
from apps.ai_usage.types import Catalogue, RoutePlan, Target


def catalogue_version() -> UUID:
    """Changes whenever any row of providers, credentials, routes or rates does; a trigger sees to it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version FROM public.ai_usage_catalogueversion")
        version: UUID = cursor.fetchone()[0]
        return version


def catalogue(version: UUID) -> Catalogue:
    """Every enabled route with the targets whose providers are enabled."""
    secrets: dict[UUID, str] = {}
    for credential in Credential.objects.order_by("provider_id", "-created_at").distinct("provider_id"):
        secrets[credential.provider_id] = provider_secret(
            credential.provider_id, bytes(credential.ciphertext)
        )
    routes = {}
    for route in Route.objects.filter(enabled=True).prefetch_related("targets__provider"):
        targets = tuple(
            Target(
                provider=row.provider.name,
                dialect=row.provider.dialect,
                base_url=row.provider.base_url.rstrip("/"),
                model=row.model,
                priority=row.priority,
                weight=row.weight,
                region=row.provider.region,
                credential=secrets.get(row.provider_id, ""),
                retention_days=row.provider.retention_days,
                trains_on_data=row.provider.trains_on_data,
            )
            for row in route.targets.all()
            if row.provider.enabled
        )
        routes[route.model] = RoutePlan(
            model=route.model,
            targets=targets,
            connect_timeout=route.connect_timeout,
            first_byte_timeout=route.first_byte_timeout,
            between_bytes_timeout=route.between_bytes_timeout,
            total_timeout=route.total_timeout,
            attempts=route.attempts,
            retry_seconds=route.retry_seconds,
            max_output_tokens=route.max_output_tokens,
        )
    return Catalogue(version=version, routes=routes)


def price_book(price_list: UUID) -> PriceBook:
    """What one price list says, compiled; a rate the list does not have is a class that cannot be sold."""
    rows = PriceRate.objects.filter(price_list=price_list).select_related("cost_rate__provider")
    return PriceBook(
        Rate(
            id=row.cost_rate_id,
            price_id=row.pk,
            provider=row.cost_rate.provider.name,
            model=row.cost_rate.model,
            quantity_class=QuantityClass(row.cost_rate.quantity_class),
            service_tier=row.cost_rate.service_tier or STANDARD_TIER,
            mode=Mode(row.cost_rate.mode),
            region=row.cost_rate.region,
            context_min=row.cost_rate.context_min,
            cost_per_million=row.cost_rate.cost_per_million,
            price_per_million=row.price_per_million,
            currency=row.cost_rate.currency,
            valid_from=row.cost_rate.valid_from,
            valid_to=row.cost_rate.valid_to,
            source=row.cost_rate.source,
        )
        for row in rows
    )
