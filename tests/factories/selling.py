"""A small catalogue of plans, made as an operator makes it: from a file."""

from datetime import UTC, datetime
from decimal import Decimal

from apps.billing import services
from apps.billing.catalogue.reading import read_catalogue
from apps.billing.services.catalogue import Applied
from apps.billing.types import PlanTerms
from apps.governance.types import Actor

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPERATOR = Actor.system("tests")
SECRETS = {"env:NORTH_KEY": "sk-north-1", "env:NORTH_URL": "https://north.example/v1"}

CATALOGUE = """\
providers:
  - name: north
    dialect: openai
    base_url: env:NORTH_URL
    credential: env:NORTH_KEY
    region: eu
    data_handling: {retention_days: 30, trains_on_data: false}
routes:
  - model: north-small
    targets:
      - {provider: north, model: north-small-1, priority: 1, weight: 1}
    timeouts: {connect: 2, first_byte: 30, total: 600}
    retries: {attempts: 3, total_seconds: 60}
prices:
  - provider: north
    model: north-small-1
    valid_from: 2026-01-01
    cost_per_million: {input: "0.15", cache_read: "0.075", output: "0.60"}
plans:
  - name: solo
    price_per_month: "20.00"
    currency: USD
    markup_percent: "20"
    models: [north-small]
    features: {sso: false}
    limits: {requests_per_minute: 60, keys: 5, members: 5, spend_per_month: "50.00"}
  - name: team
    price_per_month: "500.00"
    currency: USD
    markup_percent: "10"
    models: ["*"]
    features: {sso: true}
    limits: {requests_per_minute: 6000, keys: 500, members: 500}
"""


def apply(text: str = CATALOGUE, *, now: datetime = NOW, dry_run: bool = False) -> Applied:
    """Apply a catalogue file's text. Control plane."""
    file = read_catalogue(text, resolve=SECRETS.get, now=now)
    return services.apply_catalogue(file, actor=OPERATOR, now=now, dry_run=dry_run)


def terms(name: str = "solo", **changes: object) -> PlanTerms:
    """A plan's terms."""
    fields = {
        "price_per_month": Decimal("20.00"),
        "currency": "USD",
        "markup_percent": Decimal(20),
        "models": ("north-small",),
        "features": {"sso": False},
        "limits": {"requests_per_minute": 60, "keys": 5, "members": 5, "spend_per_month": "50.00"},
    } | changes
    return PlanTerms(name=name, **fields)  # type: ignore[arg-type]
