"""Policies of the tenant in force and the operator's bounds on it, made through the services."""

from typing import Any
from uuid import UUID

from apps.governance import services
from apps.governance.policies.records import PolicyMode, PolicyRecord
from apps.governance.policies.rules import read_rules
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.planes import control_plane

SYSTEM = Actor.system("tests")


def save(
    rules: dict[str, Any],
    level: str = "tenant",
    subject_id: UUID | None = None,
    *,
    mode: str = "enforced",
    actor: Actor = SYSTEM,
    **more: Any,
) -> PolicyRecord:
    """A new version of a policy of the tenant in force."""
    return services.save_policy(
        level, subject_id, read_rules(rules), actor=actor, mode=PolicyMode(mode), **more
    )


def policy_of(tenant: TenantRef, rules: dict[str, Any], *where: Any, **more: Any) -> PolicyRecord:
    """A new version of a policy of this tenant."""
    with in_tenant(tenant):
        return save(rules, *where, **more)


def set_bounds(rules: dict[str, Any]) -> None:
    """The operator's bounds on the tenant in force, in a process of the control plane."""
    services.set_bounds(read_rules(rules), reason="tests", actor=SYSTEM)


def bound(tenant: TenantRef, rules: dict[str, Any] | None, reason: str = "contract") -> None:
    """The operator's bounds on this tenant; None takes them away."""
    with control_plane(), in_tenant(tenant):
        services.set_bounds(None if rules is None else read_rules(rules), reason=reason, actor=SYSTEM)


def bound_all(rules: dict[str, Any] | None) -> None:
    """The operator's bounds on every tenant that has none of its own."""
    with control_plane():
        services.set_default_bounds(
            None if rules is None else read_rules(rules), reason="tests", actor=SYSTEM
        )
