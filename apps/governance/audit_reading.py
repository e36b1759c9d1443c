"""Looking through a tenant's audit log: pages, searches and exports."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db.models import CharField, Q, QuerySet
from django.db.models.functions import Cast

from apps.governance.audit import as_event, record_audit
from apps.governance.models import AuditEntry, OperatorHold, TenantHold
from apps.governance.types import Actor, AuditRecord
from apps.tenancy.selectors import current_tenant

MOST_EXPORTED = 100_000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What to look for; what is not said does not narrow. All of it must hold."""

    action: str = ""  # an action, or its beginning such as `key.`
    actor: str = ""  # part of a name, or an id whole
    actor_kind: str = ""
    target_kind: str = ""
    target_id: str = ""
    request_id: str = ""
    address: str = ""
    text: str = ""  # in action, names, ids of targets and details; a request id or address whole
    since: datetime | None = None
    until: datetime | None = None

    def given(self) -> dict[str, Any]:
        """What was said, for the entry that an export leaves."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name))}


def search_audit(wanted: AuditSearch, *, before: int | None = None, limit: int = 50) -> list[AuditRecord]:
    """Newest entries first, before a sequence number."""
    rows = _matching(wanted)
    if before is not None:
        rows = rows.filter(sequence__lt=before)
    return [
        AuditRecord(**{name: getattr(row, name) for name in AuditRecord.__dataclass_fields__})
        for row in rows[:limit]
    ]


def begin_export(wanted: AuditSearch, *, form: str, actor: Actor) -> int:
    """Write down that somebody takes entries out; returns the newest entry that the export may hold."""
    last = AuditEntry.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0
    record_audit(
        "audit.exported",
        actor=actor,
        target_kind="audit",
        details={"form": form, "through": last, "search": wanted.given()},
    )
    return last


def exported(wanted: AuditSearch, *, through: int) -> Iterator[list[dict[str, Any]]]:
    """Entries up to one, newest first, at most `MOST_EXPORTED`, in pieces: each is one short query."""
    before, left = through + 1, MOST_EXPORTED
    while left > 0:
        rows = list(_matching(wanted).filter(sequence__lt=before)[: min(_AT_ONCE, left)])
        if not rows:
            return
        yield [as_event(row) for row in rows]
        before, left = rows[-1].sequence, left - len(rows)


@dataclass(frozen=True, slots=True)
class AuditHold:
    """A standing hold."""

    by_operator: bool
    reason: str
    set_by: str
    set_at: datetime


def audit_holds() -> list[AuditHold]:
    """What stands now: at most one of the tenant's and one of an operator's."""
    own = TenantHold.objects.filter(lifted_at=None)
    theirs = OperatorHold.objects.filter(tenant_id=current_tenant().id, lifted_at=None)
    return [
        *(AuditHold(False, row.reason, row.set_by, row.set_at) for row in own),
        *(AuditHold(True, row.reason, row.set_by, row.set_at) for row in theirs),
    ]


def _matching(wanted: AuditSearch) -> QuerySet[AuditEntry]:
    rows = AuditEntry.objects.order_by("-sequence")
    if wanted.action:
        rows = rows.filter(action__startswith=wanted.action)
    if wanted.actor:
        rows = rows.filter(Q(actor_id=wanted.actor) | Q(actor_name__icontains=wanted.actor))
    exact = ("actor_kind", "target_kind", "target_id", "request_id", "address")
    rows = rows.filter(**{name: value for name in exact if (value := getattr(wanted, name))})
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(at__lt=wanted.until)
    if wanted.text:
        rows = rows.annotate(said=Cast("details", CharField())).filter(
            Q(action__icontains=wanted.text)
            | Q(actor_name__icontains=wanted.text)
            | Q(target_id__icontains=wanted.text)
            | Q(said__icontains=wanted.text)
            | Q(request_id=wanted.text)
            | Q(address=wanted.text)
        )
    return rows
