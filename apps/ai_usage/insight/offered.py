"""Which models a tenant may ask for, and in whose dialect."""

from dataclasses import dataclass

from apps.ai_usage.models import Route
from apps.governance.selectors import entitlements


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A route that the plan of the tenant in force sells."""

    model: str
    dialects: tuple[str, ...]


def offered_models() -> list[OfferedModel]:
    """Routes that are switched on and in the plan, by name."""
    entitled = entitlements()
    rows = (
        Route.objects.filter(enabled=True, targets__provider__enabled=True)
        .order_by("model", "targets__provider__dialect")
        .values_list("model", "targets__provider__dialect")
        .distinct()
    )
    dialects: dict[str, list[str]] = {}
    for model, dialect in rows:
        dialects.setdefault(model, []).append(dialect)
    return [
        OfferedModel(model, tuple(each)) for model, each in dialects.items() if entitled.may_use_model(model)
    ]
