"""Reading and changing the data boundary of the tenant in force, and what the operator requires of all."""

from django.db import transaction
from django.utils import timezone

from apps.governance.announcing import announce_change
from apps.governance.audit import record_audit, record_operator_audit
from apps.governance.data_boundary.classes import STRICTNESS, Direction
from apps.governance.data_boundary.errors import BoundaryLooser
from apps.governance.data_boundary.policy import Boundary, Floor
from apps.governance.models import DataBoundary, DataBoundaryFloor
from apps.governance.selectors import limit
from apps.governance.types import Actor
from apps.tenancy import selectors as tenancy
from apps.tenancy.services import in_public, lock_tenant


def own_boundary() -> Boundary:
    """What the tenant in force chose itself; an empty one where it never chose."""
    row = DataBoundary.objects.filter(pk=1).first()
    return Boundary.from_json(row.settings, row.version) if row else Boundary(retention_days=None)


def floor() -> Floor:
    """What the operator requires of every tenant."""
    with in_public():
        row = DataBoundaryFloor.objects.filter(pk=1).first()
    return Floor.from_json(row.settings) if row else Floor()


def most_retention_days() -> int | None:
    """The most days that plan and operator let the tenant in force keep content; None: no bound, 0: nothing."""
    bounds = [
        days for days in (floor().most_retention_days, limit("content_retention_days")) if days is not None
    ]
    return min(bounds, default=None)


def boundary_in_force() -> Boundary | None:
    """What holds for the tenant's calls; None where there is nothing to do."""
    most = most_retention_days()
    required = floor()
    found = own_boundary().within(Floor(required.request, required.response, required.block_on_failure, most))
    return None if found.is_empty else found


@transaction.atomic
def save_boundary(boundary: Boundary, *, actor: Actor) -> Boundary:
    """Replace the tenant's data boundary. It holds from the next request on, on every process.

    What is looser than the operator requires is refused rather than silently tightened.
    """
    lock_tenant("data_boundary")
    _check(boundary)
    row = DataBoundary.objects.select_for_update().filter(pk=1).first()
    before = Boundary.from_json(row.settings) if row else Boundary()
    after = boundary.to_json()
    if row is None:
        row = DataBoundary.objects.create(settings=after)
    elif row.settings == after:
        return Boundary.from_json(row.settings, row.version)
    else:
        row.version += 1
        row.settings, row.changed_at = after, timezone.now()
        row.save()
    record_audit(
        "data_boundary.changed",
        actor=actor,
        target_kind="data_boundary",
        target_id=row.version,
        details={"before": before.for_audit(), "after": boundary.for_audit()},
    )
    announce_change()
    return Boundary.from_json(row.settings, row.version)


def _check(boundary: Boundary) -> None:
    required = floor()
    looser = [
        f"{kind.value} in {direction.value}s: {least.value}"
        for direction, classes in (
            (Direction.REQUEST, required.request),
            (Direction.RESPONSE, required.response),
        )
        for kind, least in classes.items()
        if (chosen := boundary.actions(direction).get(kind)) is not None
        and STRICTNESS[chosen] < STRICTNESS[least]
    ]
    if required.block_on_failure and boundary.on_failure != "block":
        looser.append("what cannot be inspected is blocked")
    most = most_retention_days()
    if boundary.retention_days is not None and most is not None and boundary.retention_days > most:
        looser.append(f"content is kept for at most {most} days" if most else "content is not kept")
    if looser:
        raise BoundaryLooser(looser)


def set_floor(required: Floor, *, actor: Actor) -> None:
    """Require this of every tenant from its next request on. Control plane."""
    with in_public(), transaction.atomic():
        row = DataBoundaryFloor.objects.select_for_update().filter(pk=1).first()
        before = Floor.from_json(row.settings) if row else Floor()
        if before == required:
            return
        DataBoundaryFloor.objects.update_or_create(
            pk=1, defaults={"settings": required.to_json(), "changed_at": timezone.now()}
        )
        record_operator_audit(
            "data_boundary.required",
            actor=actor,
            target_kind="platform",
            details={"before": before.for_audit(), "after": required.for_audit()},
        )
        for tenant in tenancy.all_tenants():
            announce_change(tenant)
