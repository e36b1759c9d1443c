"""What other parts hold of the catalogue: routes with their targets, as read at one version."""

from dataclasses import dataclass, field
from uuid import UUID

from apps.ai_usage.catalogue_types import CatalogueEntries as CatalogueEntries
from apps.ai_usage.catalogue_types import CatalogueProblem as CatalogueProblem
from apps.ai_usage.catalogue_types import Change as Change
from apps.ai_usage.catalogue_types import PriceEntry as PriceEntry
from apps.ai_usage.catalogue_types import ProviderEntry as ProviderEntry
from apps.ai_usage.catalogue_types import RateTerms as RateTerms
from apps.ai_usage.catalogue_types import RouteEntry as RouteEntry
from apps.ai_usage.catalogue_types import TargetEntry as TargetEntry
from apps.ai_usage.catalogue_types import TariffName as TariffName
from apps.ai_usage.normalise import Endpoint as Endpoint
from apps.ai_usage.quantities import QuantityClass as QuantityClass
from apps.ai_usage.quantities import quantity_class as quantity_class
from apps.ai_usage.rollups import CountedEvent as CountedEvent
from apps.ai_usage.rollups import EventDigest as EventDigest
from apps.ai_usage.rollups import UsageSum as UsageSum
from apps.ai_usage.tariffs import Mode as Mode


@dataclass(frozen=True, slots=True)
class Target:
    """One provider's model that a route may go to."""

    provider: str
    dialect: str
    base_url: str
    model: str
    priority: int
    weight: int
    region: str
    credential: str = field(repr=False)
    retention_days: int | None = None
    trains_on_data: bool | None = None

    @property
    def name(self) -> str:
        """How the target is named in headers, metrics and breakers."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A public model name, where it leads in order, and the bounds on the way. Times in seconds."""

    model: str
    targets: tuple[Target, ...]
    connect_timeout: float
    first_byte_timeout: float
    between_bytes_timeout: float
    total_timeout: float
    attempts: int
    retry_seconds: float
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every enabled route. The version changes with any row of the catalogue, by trigger."""

    version: UUID
    routes: dict[str, RoutePlan]
