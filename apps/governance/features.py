"""Everything a plan can grant: of which kind it is, what it opens or bounds, and what holds where a plan is silent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FeatureKind(StrEnum):
    """How a granted value is read."""

    BOOLEAN = "boolean"  # there or not
    LIMIT = "limit"  # how many at once, or how fast
    METERED = "metered"  # how much in a window; counted as it is used
    CONFIG = "config"  # which of several ways of doing something


class Mode(StrEnum):
    """How this installation is run (DEPLOYMENT_MODE)."""

    SAAS = "saas"
    CUSTOMER_CLOUD = "customer_cloud"
    ON_PREM = "on_prem"
    AIR_GAPPED = "air_gapped"

    @property
    def is_licensed(self) -> bool:
        """Whether a signed licence says what may be used, in place of a subscription."""
        return self is not Mode.SAAS


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a plan can grant.

    `default` holds where the plan says nothing: True or False, a choice, or None for a limit that does not bound.
    `scopes` are those that are of no use without the feature, so a key cannot be given them.
    """

    name: str
    kind: FeatureKind
    gates: str
    default: bool | str | None = None
    choices: tuple[str, ...] = ()
    modes: frozenset[Mode] = field(default=frozenset(Mode))
    scopes: frozenset[str] = frozenset()

    @property
    def section(self) -> str:
        """Where plans and snapshots keep its value: "limits" or "features"."""
        return "limits" if self.kind in (FeatureKind.LIMIT, FeatureKind.METERED) else "features"

    @property
    def path(self) -> str:
        """Its name with its section, as overrides and origins have it: features.sso, limits.keys."""
        return f"{self.section}.{self.name}"


_ONLINE = frozenset({Mode.SAAS, Mode.CUSTOMER_CLOUD})


def _boolean(
    name: str,
    gates: str,
    *,
    default: bool = True,
    modes: frozenset[Mode] = frozenset(Mode),
    scopes: tuple[str, ...] = (),
) -> Feature:
    return Feature(name, FeatureKind.BOOLEAN, gates, default=default, modes=modes, scopes=frozenset(scopes))


# To add one: a line here, and the name at the view or task that it opens (`feature="…"`).
_ALL = (
    _boolean("audit_log", "reading and exporting the audit log", scopes=("audit:read",)),
    _boolean("audit_delivery", "delivering the audit log to another system"),
    _boolean("background_responses", "model calls that a worker makes (`background: true`)"),
    _boolean("batches", "batches of model calls", default=False),
    _boolean("budgets", "budgets that the tenant sets on itself, its people and its keys"),
    _boolean("child_keys", "keys that are parts of other keys, made and used"),
    _boolean("data_boundary", "detecting, redacting and blocking personal data and secrets"),
    _boolean("exports", "usage and calls as files"),
    _boolean("online_payment", "paying invoices by Stripe", modes=_ONLINE),
    _boolean("policies", "the tenant's own rules on models, providers, regions and tools"),
    _boolean("prompts", "versioned, reviewed prompts"),
    _boolean("response_cache", "answering identical requests from a cache"),
    _boolean("service_accounts", "programs that own keys, made and used"),
    _boolean("sso", "signing in with the tenant's own identity provider", default=False),
    _boolean("webhooks", "telling the tenant's systems of events"),
    Feature("audit_days", FeatureKind.LIMIT, "days that entries of the audit log are kept"),
    Feature("webhook_endpoints", FeatureKind.LIMIT, "webhook endpoints at a time (never more than 20)"),
    Feature("content_retention_days", FeatureKind.LIMIT, "days for which prompts and answers may be kept"),
    Feature("keys", FeatureKind.LIMIT, "API keys at a time"),
    Feature("members", FeatureKind.LIMIT, "people at a time"),
    Feature("requests_per_minute", FeatureKind.LIMIT, "model calls a minute, all keys together"),
    Feature("tokens_per_minute", FeatureKind.LIMIT, "tokens a minute, all keys together"),
    Feature("cached_answer_percent", FeatureKind.LIMIT, "per cent of a call's price that an answer from memory costs"),
    Feature("concurrent_calls", FeatureKind.LIMIT, "model calls at once, all keys together"),
    Feature("spend_per_day", FeatureKind.METERED, "money spent on model calls in a day (UTC)"),
    Feature("spend_per_month", FeatureKind.METERED, "money spent on model calls in a month (UTC)"),
    Feature(
        "throughput_without_valkey",
        FeatureKind.CONFIG,
        "whether calls go on while rates cannot be counted (money limits never do)",
        default="open",
        choices=("open", "closed"),
    ),
)  # fmt: skip

FEATURES: Mapping[str, Feature] = {feature.name: feature for feature in _ALL}
BY_PATH: Mapping[str, Feature] = {feature.path: feature for feature in _ALL}


def features_of_scopes(scopes: frozenset[str]) -> list[Feature]:
    """The features without which one of these scopes is of no use."""
    return [feature for feature in _ALL if feature.scopes & scopes]


def value_problem(feature: Feature, value: object) -> str:
    """What is wrong with a value for a feature that is no limit; empty where nothing is."""
    if feature.kind is FeatureKind.BOOLEAN:
        return "" if isinstance(value, bool) else "is true or false"
    return "" if value in feature.choices else f"is one of {', '.join(feature.choices)}"
