"""From the text of a catalogue file to entries, or to every reason why not."""

import re
from collections.abc import Callable, Hashable
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

import yaml

from apps import money
from apps.ai_usage.types import (
    CatalogueEntries,
    CatalogueProblem,
    Mode,
    PriceEntry,
    ProviderEntry,
    QuantityClass,
    RateTerms,
    RouteEntry,
    TargetEntry,
    TariffName,
    quantity_class,
)
from apps.billing.catalogue.nodes import Mapping, Problems, read_decimal, read_whole
from apps.billing.errors import InvalidCatalogue
from apps.billing.types import CatalogueFile, PlanEntry, PlanTerms
from apps.governance.features import FEATURES, FeatureKind, value_problem

# How the file's `env:NAME` and `file:PATH` become values; None where there is nothing under that name.
Resolve = Callable[[str], str | None]

_LARGEST = 4_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
MONEY_LIMITS = frozenset(name for name, feature in FEATURES.items() if feature.kind is FeatureKind.METERED)
COUNT_LIMITS = frozenset(name for name, feature in FEATURES.items() if feature.kind is FeatureKind.LIMIT)
SOLD_FEATURES = sorted(name for name, feature in FEATURES.items() if feature.section == "features")


def read_catalogue(text: str, *, resolve: Resolve, now: datetime) -> CatalogueFile:
    """Every entry of the file. InvalidCatalogue tells all that is wrong in it, with lines."""
    problems = Problems()
    root = _compose(text)
    file = Mapping(problems, root, "the file")
    reader = _Reader(problems, resolve, now)
    found = CatalogueFile(
        entries=CatalogueEntries(
            providers=tuple(reader.provider(item) for item in file.items("providers", "name")),
            routes=tuple(reader.route(item) for item in file.items("routes", "model")),
            prices=tuple(reader.price(item) for item in file.items("prices", "model")),
        ),
        plans=tuple(reader.plan(item) for item in file.items("plans", "name")),
    )
    file.done()
    if problems:
        raise InvalidCatalogue(problems)
    return found


def _compose(text: str) -> yaml.Node:
    problems = Problems()
    root: yaml.Node | None = None
    try:
        if len(text) > _LARGEST:
            problems.add(None, "the file", f"is larger than {_LARGEST} characters")
        # An anchor can make a small file mean a huge one, and nothing here needs repetition by reference.
        elif any(
            isinstance(token, yaml.AliasToken | yaml.TagToken) for token in yaml.scan(text, yaml.SafeLoader)
        ):
            problems.add(None, "the file", "may not use YAML aliases (*name) or tags (!name)")
        else:
            root = yaml.compose(text, yaml.SafeLoader)
            if root is None:
                problems.add(None, "the file", "is empty")
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else 0
        problems.append(CatalogueProblem(line, "the file", f"is not YAML: {wrong.problem}"))
    except (yaml.YAMLError, RecursionError) as wrong:
        problems.add(None, "the file", f"is not YAML: {type(wrong).__name__}")
    if problems or root is None:
        raise InvalidCatalogue(problems)
    return root


class _Reader:
    def __init__(self, problems: Problems, resolve: Resolve, now: datetime) -> None:
        self.problems = problems
        self.resolve = resolve
        self.now = now
        self.seen: set[Hashable] = set()

    def once(self, item: Mapping, identity: Hashable, what: str) -> None:
        """Refuse the second of two entries about the same thing."""
        if identity in self.seen:
            self.problems.add(item.node, item.where, f"{what} is described twice")
        self.seen.add(identity)

    def provider(self, item: Mapping) -> ProviderEntry:
        name = self.name(item, "name")
        self.once(item, ("provider", name), f"provider {name}")
        source = item.text("credential", "")
        handling = item.mapping("data_handling")
        entry = ProviderEntry(
            name=name,
            dialect=item.text("dialect", one_of=("openai", "anthropic")),
            base_url=self.base_url(item),
            region=item.text("region", "", longest=20),
            retention_days=handling.whole("retention_days", None, high=36_500) if handling else None,
            trains_on_data=handling.flag("trains_on_data", None) if handling else None,
            enabled=item.flag("enabled", None),
            credential_source=source,
            secret=self.reference(item, "credential", source) if source else "",
            line=item.line,
        )
        if handling:
            handling.done()
        item.done()
        return entry

    def route(self, item: Mapping) -> RouteEntry:
        model = item.text("model", longest=120)
        self.once(item, ("route", model), f"route {model}")
        targets = tuple(self.target(target, model) for target in item.items("targets"))
        if not targets:
            item.complain("targets", "must name at least one target")
        timeouts, retries = item.mapping("timeouts"), item.mapping("retries")
        bounds: dict[str, float] = {}
        if timeouts:
            for name, default in (("connect", 2), ("first_byte", 30), ("between_bytes", 60), ("total", 600)):
                bounds[f"{name}_timeout"] = timeouts.seconds(name, default)
            timeouts.done()
        if retries:
            bounds["attempts"] = retries.whole("attempts", 3, low=1, high=10)
            bounds["retry_seconds"] = retries.seconds("total_seconds", 60)
            retries.done()
        entry = RouteEntry(
            model=model,
            targets=targets,
            max_output_tokens=item.whole("max_output_tokens", 16_384, low=1, high=10_000_000),
            enabled=item.flag("enabled", None),
            line=item.line,
            **bounds,  # type: ignore[arg-type]  # names and kinds are those above
        )
        item.done()
        return entry

    def target(self, item: Mapping, route: str) -> TargetEntry:
        entry = TargetEntry(
            provider=item.text("provider", longest=60),
            model=item.text("model", longest=120),
            priority=item.whole("priority", 1, high=1000),
            weight=item.whole("weight", 1, low=1, high=1000),
            line=item.line,
        )
        self.once(item, ("target", route, entry.provider, entry.model), f"{entry.provider}/{entry.model}")
        item.done()
        return entry

    def price(self, item: Mapping) -> PriceEntry:
        tariff = TariffName(
            provider=item.text("provider", longest=60),
            model=item.text("model", longest=120),
            service_tier=item.text("service_tier", "default", longest=20),
            context_min=item.whole("context_min", 0, high=100_000_000),
            mode=item.text("mode", "realtime", one_of=tuple(mode.value for mode in Mode)),
            region=item.text("region", "", longest=20),
        )
        entry = PriceEntry(
            tariff=tariff,
            valid_from=item.moment("valid_from", self.now),
            rates=self.rates(item),
            source=item.text("source", ""),
            line=item.line,
        )
        self.once(item, ("price", tariff, entry.valid_from), f"the price of {tariff} from that moment on")
        item.done()
        return entry

    def rates(self, item: Mapping) -> dict[QuantityClass, RateTerms]:
        currency = self.currency(item, "USD")
        costs = self.per_class(item, "cost_per_million", required=True)
        fixed = self.per_class(item, "price_per_million", required=False)
        for name in fixed.keys() - costs.keys():
            item.complain("price_per_million", f"names {name}, of which the cost is not given")
        return {name: RateTerms(cost, fixed.get(name), currency) for name, cost in costs.items()}

    def per_class(self, item: Mapping, key: str, *, required: bool) -> dict[QuantityClass, Decimal]:
        found: dict[QuantityClass, Decimal] = {}
        inner = item.mapping(key, required=required)
        if inner is None:
            return found
        for name in inner.names():
            try:
                which = quantity_class(name)
            except ValueError:
                known = ", ".join(QuantityClass)
                self.problems.add(
                    inner.node, inner.where, f"`{name}` is no quantity class; those are {known}"
                )
                inner.decimal(name, decimals=money.RATE_DECIMALS)
                continue
            if which in found:
                inner.complain(name, f"is another name of {which}, which is given as well")
            rate = inner.decimal(name, decimals=money.RATE_DECIMALS)
            if rate >= 10**12:
                inner.complain(name, f"is too large: {rate}")
            found[which] = rate
        return found

    def plan(self, item: Mapping) -> PlanEntry:
        name = self.name(item, "name")
        self.once(item, ("plan", name), f"plan {name}")
        currency = self.currency(item, None)
        models = item.texts("models")
        if len({model for model, _ in models}) < len(models):
            item.complain("models", "names a model twice")
        terms = PlanTerms(
            name=name,
            price_per_month=item.decimal("price_per_month", decimals=money.minor_digits(currency)),
            currency=currency,
            markup_percent=item.decimal("markup_percent", decimals=4, low=-100),
            models=tuple(model for model, _ in models),
            features=self.features(item),
            limits=self.limits(item),
        )
        item.done()
        return PlanEntry(terms=terms, line=item.line, model_lines=dict(models))

    def features(self, item: Mapping) -> dict[str, bool | str]:
        inner = item.mapping("features")
        found: dict[str, bool | str] = {}
        if inner is None:
            return found
        for name in inner.names():
            feature = FEATURES.get(name)
            if feature is None or feature.section != "features":
                inner.complain(name, f"is no feature; those are {', '.join(SOLD_FEATURES)}")
            elif feature.kind is FeatureKind.CONFIG:
                found[name] = inner.text(name, one_of=feature.choices)
            else:
                found[name] = inner.flag(name)
        return found

    def limits(self, item: Mapping) -> dict[str, int | str]:
        inner = item.mapping("limits")
        found: dict[str, int | str] = {}
        if inner is None:
            return found
        for name in inner.names():
            if name in COUNT_LIMITS:
                found[name] = inner.whole(name)
            elif name in MONEY_LIMITS:
                found[name] = f"{inner.decimal(name, decimals=6):f}"
        inner.done()
        return found

    def name(self, item: Mapping, key: str) -> str:
        name = item.text(key)
        if name and not _NAME.match(name):
            item.complain(
                key, f"must be lower-case letters, digits, dots, underscores or hyphens, not {name}"
            )
        return name

    def currency(self, item: Mapping, default: str | None) -> str:
        currency = item.text("currency", default) if default else item.text("currency")
        if currency and not _CURRENCY.match(currency):
            item.complain("currency", f"must be three capital letters, not {currency}")
        return currency

    def base_url(self, item: Mapping) -> str:
        url = item.text("base_url")
        if url.startswith(("env:", "file:")):
            url = self.reference(item, "base_url", url)
        if not url:
            return ""
        try:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if (
            not valid
            or parts.query
            or parts.fragment
            or parts.username
            or any(char.isspace() for char in url)
        ):
            item.complain("base_url", "must be an http or https address without user, query or fragment")
        return url

    def reference(self, item: Mapping, key: str, reference: str) -> str:
        """The value behind env:NAME or file:PATH. A secret itself is never written in the file."""
        kind, _, name = reference.partition(":")
        if kind not in ("env", "file") or not name:
            item.complain(key, "must be env:NAME or file:PATH; a secret is never written in the file itself")
            return ""
        value = self.resolve(reference)
        if value is None:
            item.complain(
                key, f"{'the environment variable' if kind == 'env' else 'the file'} {name} is not there"
            )
            return ""
        if not value.strip() or not value.strip().isprintable():
            item.complain(key, f"{name} is empty or holds more than one line")
        return value.strip()


def read_limit(name: str, text: str) -> int | str:
    """One limit as a person writes it in the admin; ValueError where it is none."""
    if name in MONEY_LIMITS:
        return f"{read_decimal(text, decimals=6):f}"
    if name in COUNT_LIMITS:
        return read_whole(text, 0, 10**12)
    raise ValueError(f"{name} is not a limit; those are {', '.join(sorted(COUNT_LIMITS | MONEY_LIMITS))}")


def read_feature(name: str, text: str) -> bool | str:
    """One feature's value as a person writes it in the admin; ValueError where it is none."""
    feature = FEATURES.get(name)
    if feature is None or feature.section != "features":
        raise ValueError(f"{name} is not a feature; those are {', '.join(SOLD_FEATURES)}")
    value = {"true": True, "false": False}.get(text, text)
    if problem := value_problem(feature, value):
        raise ValueError(problem)
    return value
