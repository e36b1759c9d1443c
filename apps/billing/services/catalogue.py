"""Applying a catalogue whole: all of it or nothing, and everybody who bought something follows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.ai_usage import selectors as tables
from apps.ai_usage import services as ai_usage
from apps.ai_usage.types import CatalogueProblem, Change
from apps.billing import selectors
from apps.billing.errors import InvalidCatalogue
from apps.billing.services.plans import move_subscribers, publish_new_rates, publish_plan
from apps.billing.types import CatalogueFile, PlanEntry, PlanInfo, PlanTerms
from apps.governance import services as governance
from apps.governance.types import Actor
from apps.tenancy import selectors as tenants
from apps.tenancy import services as tenancy

_EVERY_MODEL = "*"


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a catalogue changed, what an operator should know about it, and how many tenants it
    moved."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    tenants_moved: int


def apply_catalogue(file: CatalogueFile, *, actor: Actor, now: datetime, dry_run: bool = False) -> Applied:
    """Make the tables say what the file says; refuse all of it with every reason. Again, it changes nothing.

    A dry run does the same and takes it back, so what it shows is what would happen.
    """
    with tenancy.in_public(), transaction.atomic():
        tenancy.lock_tenant("catalogue")
        problems = [*tables.check_entries(file.entries, now=now), *_plan_problems(file)]
        if problems:
            raise InvalidCatalogue(problems)
        changes = [*ai_usage.apply_entries(file.entries, now=now), *_apply_plans(file.plans, actor, now)]
        publish_new_rates()
        warnings = tuple(_warnings(now))
        if changes and not dry_run:
            governance.record_operator_audit(
                "catalogue.applied", actor=actor, details={"changes": [str(change) for change in changes]}
            )
            for tenant in tenants.all_tenants():
                governance.announce_change(tenant)
        if dry_run:
            transaction.set_rollback(True)
    moved = 0 if dry_run else sum(move_subscribers(plan.terms.name, now=now) for plan in file.plans)
    return Applied(tuple(changes), warnings, moved)


def _apply_plans(plans: Iterable[PlanEntry], actor: Actor, now: datetime) -> Iterable[Change]:
    known = {plan.terms.name: plan for plan in selectors.newest_plans()}
    for entry in plans:
        published, is_new = publish_plan(entry.terms, actor=actor, now=now)
        if is_new:
            before = known.get(entry.terms.name)
            yield Change("~" if before else "+", f"plan {entry.terms.name}", _difference(before, published))


def _difference(before: PlanInfo | None, after: PlanInfo) -> str:
    terms = after.terms
    if before is None:
        return (
            f"{terms.price_per_month:f} {terms.currency} a month, "
            f"{terms.markup_percent.normalize():f} % markup"
        )
    parts = [f"version {after.number}"]
    for name in PlanTerms.__dataclass_fields__:
        old, new = getattr(before.terms, name), getattr(terms, name)
        if old != new:
            parts.append(f"{name} {_shown(old)} → {_shown(new)}")
    return ", ".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {value[key]}" for key in sorted(value)) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)


def _plan_problems(file: CatalogueFile) -> Iterable[CatalogueProblem]:
    """Models that no route serves, prices in another currency, and currencies that tenants are invoiced
    in."""
    stored = tables.read_entries()
    routes = {entry.model: entry for entry in (*stored.routes, *file.entries.routes)}
    currencies: dict[tuple[str, str], set[str]] = {}
    for price in (*stored.prices, *file.entries.prices):
        found = {terms.currency for terms in price.rates.values()}
        currencies.setdefault((price.tariff.provider, price.tariff.model), set()).update(found)
    newest = {plan.terms.name: plan for plan in selectors.newest_plans()}
    in_use = set(selectors.tenants_by_plan().values())
    for plan in file.plans:
        terms, where = plan.terms, f"plans, {plan.terms.name}"
        for model in terms.models:
            if model != _EVERY_MODEL and model not in routes:
                yield CatalogueProblem(
                    plan.model_lines.get(model, plan.line), where, f"there is no route {model}"
                )
        sold = (
            routes.values()
            if _EVERY_MODEL in terms.models
            else (routes[m] for m in terms.models if m in routes)
        )
        others = {
            currency
            for route in sold
            for target in route.targets
            for currency in currencies.get((target.provider, target.model), ())
            if currency != terms.currency
        }
        if others:
            reason = (
                f"sells in {terms.currency} what is priced in {', '.join(sorted(others))}; nothing "
                "converts money here"
            )
            yield CatalogueProblem(plan.line, where, reason)
        before = newest.get(terms.name)
        if before and before.terms.currency != terms.currency and terms.name in in_use:
            reason = (
                f"tenants are invoiced in {before.terms.currency} on it; sell in {terms.currency} "
                "under another name"
            )
            yield CatalogueProblem(plan.line, where, reason)


def _warnings(now: datetime) -> Iterable[str]:
    """Targets without a price: calls to them are refused, never free."""
    entries = tables.read_entries()
    priced = {
        (price.tariff.provider, price.tariff.model)
        for price in entries.prices
        if price.rates and price.valid_from <= now
    }
    for route in entries.routes:
        for target in route.targets:
            if (target.provider, target.model) not in priced:
                yield (
                    f"{target.provider}/{target.model} behind {route.model} has no price yet: calls "
                    "to it are refused."
                )
