"""Where the decision meets what it is about: views, work, templates and counted limits of the tenant in force.

Each view and each task names the feature that it belongs to, or says that it belongs to every plan and why
(`EveryPlan`). tests/repository/test_gates.py finds those that say neither.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from celery import shared_task
from django.conf import settings

from apps.governance import metrics, selectors
from apps.governance.decision import Decision, decide
from apps.governance.errors import FeatureNotIncluded
from apps.governance.features import Mode
from apps.governance.types import Entitlements
from apps.tenancy.selectors import current_tenant_or_none
from apps.tenancy.types import TenantState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EveryPlan:
    """Said by a view or a task that no plan leaves out, with the reason why."""

    because: str


Gate = str | EveryPlan
Gates = Gate | Mapping[str, Gate]  # one for all, or one for each HTTP method


def gate_of(declared: Gates | None, method: str) -> Gate | None:
    """What is declared for a method; None where nothing is."""
    if declared is None or isinstance(declared, str | EveryPlan):
        return declared
    return declared.get("GET" if method in ("HEAD", "OPTIONS") else method)


def mode() -> Mode:
    """How this installation is run."""
    return Mode(settings.DEPLOYMENT_MODE)


def may(
    feature: str,
    *,
    used: int = 0,
    adding: int = 0,
    entitlements: Entitlements | None = None,
) -> Decision:
    """The decision on a feature or a limit for the tenant in force, as it is published now.

    Whether the tenant is suspended or has paid is asked where calls and writes come in, not here.
    """
    return decide(
        entitlements if entitlements is not None else selectors.entitlements(),
        state=TenantState.READY,
        mode=mode(),
        feature=feature,
        used=used,
        adding=adding,
    )


def check_gate(gate: Gate | None, *, entitlements: Entitlements | None = None) -> None:
    """Refuse with the reason where the plan of the tenant in force leaves the gate's feature out."""
    if not isinstance(gate, str):
        return
    entitled = entitlements if entitlements is not None else selectors.entitlements()
    decision = may(gate, entitlements=entitled)
    if not decision.allowed:
        metrics.NOT_INCLUDED.labels(gate, decision.reason.value).inc()
        raise FeatureNotIncluded(gate, entitled.plan, decision)


def gated_task(name: str, *, feature: Gate, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Celery task that says to which feature its work belongs.

    Work that was promised before the plan left the feature out is let go, with a line in the log: trying it again
    would not help. Platform work has no tenant, so it is never of one feature.
    """

    def decorate(work: Callable[..., Any]) -> Any:
        @wraps(work)
        def gated(*args: Any, **kwargs: Any) -> Any:
            tenant = current_tenant_or_none()
            if isinstance(feature, str) and tenant is not None:
                decision = may(feature)
                if not decision.allowed:
                    metrics.NOT_INCLUDED.labels(feature, decision.reason.value).inc()
                    log.warning("%s was not done for %s: %s", name, tenant.slug, decision.reason.value)
                    return None
            return work(*args, **kwargs)

        return shared_task(name=name, gate=feature, **options)(gated)

    return decorate
