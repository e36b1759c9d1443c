"""The audit log: looking through it, taking it out, holding it."""

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.governance import selectors, services
from apps.governance.gates import EveryPlan
from apps.governance.selectors import AuditSearch
from apps.governance.types import AuditRecord
from apps.governance_faces import exporting
from apps.governance_faces.portal.audit_forms import ReasonForm, SearchForm
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_PAGE = 50
_EVIDENCE = EveryPlan("whoever must keep evidence keeps it")


@portal_view(scopes="audit:read", feature="audit_log")
def audit_log(request: "PortalRequest") -> HttpResponse:
    """Entries, newest first, by what is looked for."""
    form = SearchForm(request.GET)
    given = form.wanted()
    cursor = request.GET.get("cursor", "")
    before = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 16 else None
    found = selectors.search_audit(_search(given), before=before, limit=_PAGE + 1)
    head = selectors.last_head()
    return render(
        request,
        "governance/audit.html",
        {
            "entries": [_row(entry) for entry in found[:_PAGE]],
            "any_search": bool(given),
            "filters": _filters(given),
            "reset_url": reverse("governance:audit") if given else "",
            "page": {"next_cursor": found[_PAGE - 1].sequence} if len(found) > _PAGE else {},
            "export_url": reverse("governance:audit-export"),
            "holds": selectors.audit_holds(),
            "keep_days": selectors.limit("audit_days"),
            "head": head,
            "can_hold": "settings:write" in request.member.scopes,
            "hold_url": reverse("governance:audit-hold"),
            "lift_url": reverse("governance:audit-lift"),
        },
    )


@portal_view(scopes="audit:read", feature="audit_log")
def export(request: "PortalRequest") -> HttpResponseBase:
    """The entries of a search as a file."""
    form = request.GET.get("form", "csv")
    if form not in exporting.FORMS:
        form = "csv"
    wanted = _search(SearchForm(request.GET).wanted())
    return exporting.export(request, wanted, form, actor=request.actor)


@portal_view(scopes={"POST": "settings:write"}, feature=_EVIDENCE)
def hold(request: "PortalRequest") -> HttpResponse:
    """Hold the log."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say in at most 300 characters why the log is held.")
        return redirect("governance:audit")
    services.set_audit_hold(reason=form.cleaned_data["reason"], actor=request.actor)
    messages.success(request, "The log is held: nothing is removed from it.")
    return redirect("governance:audit")


@portal_view(scopes={"POST": "settings:write"}, feature=_EVIDENCE)
def lift(request: "PortalRequest") -> HttpResponse:
    """Lift the tenant's own hold."""
    services.lift_audit_hold(actor=request.actor)
    messages.success(request, "The hold is lifted.")
    return redirect("governance:audit")


def _search(given: dict[str, Any]) -> AuditSearch:
    """A search from what the form understood; days are UTC, and the last one counts whole."""
    wanted = dict(given)
    if "since" in wanted:
        wanted["since"] = datetime.combine(wanted["since"], time.min, UTC)
    if "until" in wanted:
        until = wanted["until"]
        last = datetime.combine(until, time.min, UTC)
        wanted["until"] = last if until.year == 9999 else last + timedelta(days=1)
    return AuditSearch(**wanted)


def _filters(given: dict[str, Any]) -> list[dict[str, Any]]:
    fields: list[tuple[str, str, str, str]] = [
        ("search", "text", "Search", "Anything"),
        ("search", "action", "Action", "key."),
        ("search", "actor", "Who", "Name or id"),
        ("search", "target_id", "On what", "Id"),
        ("date", "since", "From", ""),
        ("date", "until", "To", ""),
    ]
    return [
        {
            "kind": kind, "name": name, "label": label, "placeholder": placeholder,
            "value": given[name].isoformat() if hasattr(given.get(name), "isoformat") else given.get(name, ""),
        }
        for kind, name, label, placeholder in fields
    ]  # fmt: skip


def _row(entry: AuditRecord) -> dict[str, Any]:
    return {
        "entry": entry,
        "who": entry.actor_name or entry.actor_id or entry.actor_kind,
        "kind": entry.actor_kind.replace("_", " "),
        "details": [(name, _said(value)) for name, value in entry.details.items()],
    }


def _said(value: Any) -> str:
    """A detail in a line: what changed as before → after, by member."""
    if isinstance(value, dict):
        parts = [
            f"{name}: {_said(each[0])} → {_said(each[1])}"
            if isinstance(each, list) and len(each) == 2
            else f"{name}: {_said(each)}"
            for name, each in value.items()
        ]
        return "; ".join(parts) or "–"
    if isinstance(value, list):
        return ", ".join(_said(each) for each in value) or "–"
    return "–" if value in (None, "") else str(value)
