"""Making the catalogue's tables say what a catalogue's entries say, and saying it back."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from apps.ai_usage.catalogue_types import (
    CatalogueEntries,
    CatalogueProblem,
    Change,
    PriceEntry,
    ProviderEntry,
    RateTerms,
    RouteEntry,
    TargetEntry,
    TariffName,
)
from apps.ai_usage.credentials import (
    CannotDecrypt,
    is_under_newest_key,
    provider_secret,
    seal_provider_secret,
)
from apps.ai_usage.models import CostRate, Credential, PriceRate, Provider, Route, RouteTarget
from apps.ai_usage.pricing import build_price
from apps.ai_usage.quantities import QuantityClass
from apps.ai_usage.rate_changes import RateChanges, RateRow, plan_rate_changes

_ROUTE_BOUNDS = (
    "connect_timeout",
    "first_byte_timeout",
    "between_bytes_timeout",
    "total_timeout",
    "attempts",
    "retry_seconds",
    "max_output_tokens",
)


def check_entries(entries: CatalogueEntries, *, now: datetime) -> list[CatalogueProblem]:
    """Everything that stands against applying these entries to the tables as they are."""
    known = {*Provider.objects.values_list("name", flat=True), *(entry.name for entry in entries.providers)}
    problems = [
        CatalogueProblem(target.line, f"routes, {route.model}", f"there is no provider {target.provider}")
        for route in entries.routes
        for target in route.targets
        if target.provider not in known
    ]
    problems += [
        CatalogueProblem(
            price.line, f"prices, {price.tariff}", f"there is no provider {price.tariff.provider}"
        )
        for price in entries.prices
        if price.tariff.provider not in known
    ]
    for changes in _rate_changes(entries.prices, now=now):
        problems += changes.problems
    return problems


@transaction.atomic
def apply_entries(entries: CatalogueEntries, *, now: datetime) -> list[Change]:
    """Make the entries hold; what they do not name stays as it is. `check_entries` has found no problem."""
    changes = [change for entry in entries.providers for change in _apply_provider(entry, now)]
    changes += [change for entry in entries.routes for change in _apply_route(entry)]
    for wanted in _rate_changes(entries.prices, now=now):
        changes += _apply_rates(wanted)
    return changes


def publish_prices(price_list: UUID, markup_percent: Decimal) -> int:
    """Give every cost row that the list does not sell yet its price; returns how many. Prices there never
    change."""
    unsold = CostRate.objects.exclude(
        pk__in=PriceRate.objects.filter(price_list=price_list).values("cost_rate")
    )
    made = PriceRate.objects.bulk_create(
        PriceRate(
            price_list=price_list,
            cost_rate=row,
            price_per_million=build_price(row.cost_per_million, markup_percent)
            if row.fixed_price_per_million is None
            else row.fixed_price_per_million,
        )
        for row in unsold
    )
    return len(made)


def _apply_provider(entry: ProviderEntry, now: datetime) -> Iterable[Change]:
    provider = Provider.objects.select_for_update().filter(name=entry.name).first()
    wanted = {
        "dialect": entry.dialect,
        "base_url": entry.base_url,
        "region": entry.region,
        "retention_days": entry.retention_days,
        "trains_on_data": entry.trains_on_data,
    }
    if entry.enabled is not None:
        wanted["enabled"] = entry.enabled
    if provider is None:
        provider = Provider.objects.create(name=entry.name, **wanted)
        yield Change("+", f"provider {entry.name}", f"{entry.dialect} at {entry.base_url}")
    elif differing := _differences(provider, wanted):
        provider.save(update_fields=list(wanted))
        yield Change("~", f"provider {entry.name}", differing)
    if entry.credential_source and _stored_secret(provider, entry.credential_source) != entry.secret:
        Credential.objects.create(
            provider=provider,
            ciphertext=seal_provider_secret(provider.pk, entry.secret),
            source=entry.credential_source,
            created_at=now,
        )
        yield Change("~", f"credential of {entry.name}", f"from {entry.credential_source}")


def _stored_secret(provider: Provider, source: str) -> str | None:
    """The secret in use, if it came from there and is under the newest key; otherwise it is stored again."""
    newest = provider.credentials.first()
    if newest is None or newest.source != source or not is_under_newest_key(bytes(newest.ciphertext)):
        return None
    try:
        return provider_secret(provider.pk, bytes(newest.ciphertext))
    except CannotDecrypt:
        return None


def _apply_route(entry: RouteEntry) -> Iterable[Change]:
    wanted = {name: getattr(entry, name) for name in _ROUTE_BOUNDS}
    if entry.enabled is not None:
        wanted["enabled"] = entry.enabled
    route = Route.objects.select_for_update().filter(model=entry.model).first()
    if route is None:
        route = Route.objects.create(model=entry.model, **wanted)
        leads_to = ", ".join(f"{target.provider}/{target.model}" for target in entry.targets)
        yield Change("+", f"route {entry.model}", leads_to)
        _set_targets(route, entry)
        return
    if differing := _differences(route, wanted):
        route.save(update_fields=list(wanted))
        yield Change("~", f"route {entry.model}", differing)
    before = [
        (row.provider.name, row.model, row.priority, row.weight)
        for row in route.targets.select_related("provider").order_by("id")
    ]
    after = [(target.provider, target.model, target.priority, target.weight) for target in entry.targets]
    if before != after:
        _set_targets(route, entry)
        yield Change("~", f"route {entry.model}", f"targets {_shown(before)} → {_shown(after)}")


def _set_targets(route: Route, entry: RouteEntry) -> None:
    route.targets.all().delete()
    providers = {
        row.name: row for row in Provider.objects.filter(name__in={one.provider for one in entry.targets})
    }
    RouteTarget.objects.bulk_create(
        RouteTarget(
            route=route,
            provider=providers[target.provider],
            model=target.model,
            priority=target.priority,
            weight=target.weight,
        )
        for target in entry.targets
    )


def _shown(targets: list[tuple[str, str, int, int]]) -> str:
    return ", ".join(
        f"{provider}/{model} ({priority}, {weight})" for provider, model, priority, weight in targets
    )


def _differences(row: Provider | Route, wanted: Mapping[str, object]) -> str:
    """Sets what differs, and says how."""
    said = []
    for name, value in wanted.items():
        before = getattr(row, name)
        if before != value:
            said.append(f"{name} {before!r} → {value!r}")
            setattr(row, name, value)
    return ", ".join(said)


def _rate_changes(prices: tuple[PriceEntry, ...], *, now: datetime) -> list[RateChanges]:
    entries: dict[TariffName, list[PriceEntry]] = defaultdict(list)
    for price in prices:
        entries[price.tariff].append(price)
    stored = _stored_rates({tariff.model for tariff in entries})
    return [plan_rate_changes(tariff, stored[tariff], wanted, now=now) for tariff, wanted in entries.items()]


def _stored_rates(models: Iterable[str] | None = None) -> dict[TariffName, list[RateRow]]:
    rows = CostRate.objects.select_related("provider").order_by("valid_from", "quantity_class")
    if models is not None:
        rows = rows.filter(model__in=models)
    found: dict[TariffName, list[RateRow]] = defaultdict(list)
    for row in rows:
        tariff = TariffName(
            row.provider.name, row.model, row.service_tier, row.context_min, row.mode, row.region
        )
        terms = RateTerms(row.cost_per_million, row.fixed_price_per_million, row.currency)
        found[tariff].append(
            RateRow(
                QuantityClass(row.quantity_class),
                terms,
                row.valid_from,
                row.valid_to,
                id=row.pk,
                source=row.source,
            )
        )
    return found


def _apply_rates(changes: RateChanges) -> Iterable[Change]:
    withdrawn = [row.id for row in changes.withdrawn if row.id is not None]
    PriceRate.objects.filter(cost_rate__in=withdrawn).delete()
    CostRate.objects.filter(pk__in=withdrawn).delete()
    for row in changes.withdrawn:
        yield Change(
            "-", f"price {changes.tariff} {row.quantity_class}", f"{row.terms} from {_day(row.valid_from)}"
        )
    for row in changes.ended:
        CostRate.objects.filter(pk=str(row.id)).update(valid_to=row.valid_to)
        yield Change(
            "~", f"price {changes.tariff} {row.quantity_class}", f"{row.terms} ends {_day(row.valid_to)}"
        )
    if not changes.begun:
        return
    provider = Provider.objects.get(name=changes.tariff.provider)
    CostRate.objects.bulk_create(
        CostRate(
            provider=provider,
            model=changes.tariff.model,
            service_tier=changes.tariff.service_tier,
            context_min=changes.tariff.context_min,
            mode=changes.tariff.mode,
            region=changes.tariff.region,
            quantity_class=row.quantity_class.value,
            cost_per_million=row.terms.cost,
            fixed_price_per_million=row.terms.fixed_price,
            currency=row.terms.currency,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            source=row.source,
        )
        for row in changes.begun
    )
    for row in changes.begun:
        yield Change(
            "+", f"price {changes.tariff} {row.quantity_class}", f"{row.terms} from {_day(row.valid_from)}"
        )


def _day(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    return moment.strftime(
        "%Y-%m-%d" if moment.hour == moment.minute == moment.second == 0 else "%Y-%m-%dT%H:%M:%SZ"
    )


def read_entries() -> CatalogueEntries:
    """The tables as entries, history included: applied to empty tables, they make the same rates again."""
    return CatalogueEntries(
        providers=tuple(_provider_entry(row) for row in Provider.objects.prefetch_related("credentials")),
        routes=tuple(_route_entry(row) for row in Route.objects.prefetch_related("targets__provider")),
        prices=tuple(
            entry
            for tariff, rows in sorted(_stored_rates().items())
            for entry in _price_entries(tariff, rows)
        ),
    )


def _provider_entry(row: Provider) -> ProviderEntry:
    newest = next(iter(row.credentials.all()), None)
    return ProviderEntry(
        name=row.name,
        dialect=row.dialect,
        base_url=row.base_url,
        region=row.region,
        retention_days=row.retention_days,
        trains_on_data=row.trains_on_data,
        enabled=row.enabled,
        credential_source=newest.source if newest else "",
    )


def _route_entry(row: Route) -> RouteEntry:
    targets = sorted(row.targets.all(), key=lambda target: target.pk)
    return RouteEntry(
        model=row.model,
        targets=tuple(
            TargetEntry(target.provider.name, target.model, target.priority, target.weight)
            for target in targets
        ),
        enabled=row.enabled,
        **{name: getattr(row, name) for name in _ROUTE_BOUNDS},
    )


def _price_entries(tariff: TariffName, rows: list[RateRow]) -> Iterable[PriceEntry]:
    moments = {row.valid_from for row in rows} | {row.valid_to for row in rows if row.valid_to is not None}
    for moment in sorted(moments):
        holding = [row for row in rows if row.holds_at(moment)]
        begun = [row.source for row in holding if row.valid_from == moment and row.source]
        yield PriceEntry(
            tariff=tariff,
            valid_from=moment,
            rates={row.quantity_class: row.terms for row in holding},
            source=begun[0] if begun else "",
        )
