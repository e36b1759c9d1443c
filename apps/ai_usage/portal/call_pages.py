"""The list of calls, and one call with everything that came of it."""

from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core import signing
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.ai_usage.insight.calls import (
    CallOrder,
    CallPosition,
    any_calls,
    call_detail,
    calls,
    parse_position,
    position_of,
)
from apps.ai_usage.insight.snapshot import one_moment
from apps.ai_usage.insight.types import CallFilter, CallRecord, Outcome
from apps.ai_usage.portal.csv_export import csv_answer
from apps.ai_usage.portal.detail import detail_context
from apps.ai_usage.portal.filters import key_filter, model_filter, owner_filter, select, uuid_of
from apps.ai_usage.portal.first_run import snippets
from apps.ai_usage.portal.periods import CUSTOM, address, chosen, options
from apps.ai_usage.portal.rows import call_rows
from apps.ai_usage.portal.words import OUTCOMES
from apps.governance.content.reading import read_content
from apps.governance.gates import EveryPlan
from apps.identity.services import portal_view
from apps.keys.selectors import key_names, owner_names

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

PAGE = 50
MOST_EXPORTED = 10_000
_PERIODS = ("1h", "24h", "7d", "30d", "90d")
_COLUMNS = ("started_at", "model", "input_tokens", "output_tokens", "duration_ms", "price")
_SALT = "apps.ai_usage.portal.calls"
_EXPORTED = (
    "id", "started_at", "environment", "endpoint", "model", "stream", "status", "outcome", "error_code",
    "attempts", "provider", "served_model", "input_tokens", "output_tokens", "duration_ms", "first_byte_ms",
    "price", "currency", "usage_source",
)  # fmt: skip


class _Asked:
    """What a request for calls asks."""

    def __init__(self, request: "PortalRequest", now: datetime) -> None:
        query = request.GET
        self.choice = chosen(query, _PERIODS, "7d", now)
        outcome = query.get("outcome", "")
        period, word = self.choice.period, self.choice.word
        # Hours back from now, not from the full hour, which may just have begun.
        exact = word.endswith("h")
        self.only = CallFilter(
            model=query.get("model", "")[:120],
            key_id=uuid_of(query.get("key", "")),
            owner_id=uuid_of(query.get("owner", "")),
            outcome=outcome if outcome in list(Outcome) else "",
            starts_at=now - timedelta(hours=int(word[:-1])) if exact else period.starts_at,
            ends_at=period.ends_at if word == CUSTOM else None,
        )
        sort = query.get("sort", "")
        self.sort = sort if sort.lstrip("-") in _COLUMNS else "-started_at"
        self.order = CallOrder(self.sort.lstrip("-"), self.sort.startswith("-"))
        self.cursor = query.get("cursor", "")

    def narrowed(self) -> dict[str, str]:
        """The filters as they stand in an address."""
        only = self.only
        return {
            "model": only.model,
            "key": str(only.key_id or ""),
            "owner": str(only.owner_id or ""),
            "outcome": only.outcome,
        }


_EVERY_PLAN = EveryPlan("whoever calls may see what was called and why it was refused")


@portal_view(scopes="calls:read", feature=_EVERY_PLAN)
def call_list(request: "PortalRequest") -> HttpResponse:
    """Calls in pages. A call's whole id in the search field leads to that call."""
    wanted = request.GET.get("id", "").strip()
    if (call_id := uuid_of(wanted)) is not None:
        return _lead_to(request, call_id)
    asked = _Asked(request, timezone.now())
    with one_moment():
        shown, page = ([], {"summary": "No call has this id."}) if wanted else _page(asked)
        known = bool(shown) or any_calls()
    names = key_names(call.key_id for call in shown if call.key_id)
    here = reverse("ai_usage:calls")
    is_narrowed = any(asked.narrowed().values()) or wanted or "period" in request.GET
    exported = asked.choice.parameters() | asked.narrowed() | {"sort": asked.sort}
    return render(
        request,
        "ai_usage/calls.html",
        {
            "filters": _filters(asked, wanted),
            "reset_url": here if is_narrowed else "",
            "sort": asked.sort,
            "calls": call_rows(shown, names),
            "page": page,
            "any_calls": known,
            "snippets": [] if known else snippets(request),
            "export_url": address(reverse("ai_usage:calls-csv"), exported) if shown else "",
        },
    )


@portal_view(scopes="calls:read", feature="exports")
def calls_csv(request: "PortalRequest") -> HttpResponse:
    """The calls that the filters show, as many as one file is given."""
    asked = _Asked(request, timezone.now())
    found = calls(asked.only, order=asked.order, limit=MOST_EXPORTED + 1)
    shown, is_cut = found[:MOST_EXPORTED], len(found) > MOST_EXPORTED
    keys = key_names({call.key_id for call in shown if call.key_id})
    owners = owner_names({call.owner_id for call in shown if call.owner_id})
    rows = (
        [
            *(str(value) if isinstance(value, UUID) else value for value in _values(call)),
            keys.get(call.key_id, "") if call.key_id else "",
            owners.get(call.owner_id, "") if call.owner_id else "",
        ]
        for call in shown
    )
    # A table that ends early without a word would be taken for the whole.
    last = (
        [[f"More calls match: these are the first {MOST_EXPORTED}. Choose a shorter period."]]
        if is_cut
        else []
    )
    period = asked.choice.period
    return csv_answer(
        f"calls-{period.starts_at:%Y-%m-%d}-to-{period.ends_at:%Y-%m-%d}.csv",
        [*_EXPORTED, "key", "owner"],
        chain(rows, last),
    )


@portal_view(scopes="calls:read", feature=_EVERY_PLAN)
def call_page(request: "PortalRequest", call_id: UUID) -> HttpResponse:
    """One call: where it went and why, what it consumed, and how its price comes about."""
    with one_moment():
        found = call_detail(call_id)
    return render(request, "ai_usage/call_detail.html", detail_context(found, request.member))


@portal_view(
    scopes={"POST": "content:read"}, feature=EveryPlan("what was kept can be read until its days are over")
)
def call_content(request: "PortalRequest", call_id: UUID) -> HttpResponse:
    """What was kept of a call. A POST, since reading leaves an entry in the audit log."""
    content = read_content(call_id, actor=request.actor)
    with one_moment():
        found = call_detail(call_id)
    return render(
        request, "ai_usage/call_detail.html", detail_context(found, request.member) | {"content": content}
    )


def _values(call: CallRecord) -> list[Any]:
    return [getattr(call, name) for name in _EXPORTED]


def _lead_to(request: "PortalRequest", call_id: UUID) -> HttpResponse:
    there = reverse("ai_usage:call", args=[call_id])
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": there})
    return redirect(there)


def _filters(asked: _Asked, wanted: str) -> list[dict[str, Any]]:
    outcomes = [{"value": "", "label": "Any outcome"}]
    outcomes += [{"value": str(outcome), "label": label} for outcome, (_, label) in OUTCOMES.items()]
    hidden: list[dict[str, Any]] = []
    if asked.choice.word == CUSTOM:
        bounds = asked.choice.parameters()
        hidden = [{"kind": "hidden", "name": name, "value": value} for name, value in bounds.items()]
    return [
        *hidden,
        select("period", "Period", asked.choice.word, options(asked.choice, _PERIODS)),
        model_filter(asked.only.model),
        key_filter(asked.only.key_id),
        *owner_filter(asked.only.owner_id),
        select("outcome", "Outcome", asked.only.outcome, outcomes),
        {"kind": "search", "name": "id", "label": "Call id", "value": wanted, "placeholder": "Whole id"},
    ]


def _page(asked: _Asked) -> tuple[list[CallRecord], dict[str, Any]]:
    backwards, beyond = _read_cursor(asked.cursor, asked.sort)
    found = calls(asked.only, order=asked.order, beyond=beyond, backwards=backwards, limit=PAGE + 1)
    has_more = len(found) > PAGE
    shown = found[-PAGE:] if backwards else found[:PAGE]
    page: dict[str, Any] = {"summary": _summary(shown, asked)}
    if shown and (has_more if backwards else beyond is not None):
        page["previous_cursor"] = _write_cursor(asked, shown[0], backwards=True)
    if shown and (backwards or has_more):
        page["next_cursor"] = _write_cursor(asked, shown[-1], backwards=False)
    return shown, page


def _summary(shown: list[CallRecord], asked: _Asked) -> str:
    if not shown:
        return "No calls"
    count = "1 call" if len(shown) == 1 else f"{len(shown)} calls"
    first, last = shown[0].started_at, shown[-1].started_at
    if asked.order.column != "started_at" or len(shown) == 1:
        return count
    if first.date() == last.date():
        return f"{count}, {first:%H:%M:%S} to {last:%H:%M:%S} UTC"
    return f"{count}, {first.day} {first:%b %H:%M} to {last.day} {last:%b %H:%M} UTC"


def _write_cursor(asked: _Asked, call: CallRecord, *, backwards: bool) -> str:
    at = position_of(call, asked.order)
    value = at.value.isoformat() if isinstance(at.value, datetime) else str(at.value)
    return signing.dumps([asked.sort, value, str(at.id), backwards], salt=_SALT)


def _read_cursor(cursor: str, sort: str) -> tuple[bool, CallPosition | None]:
    """Direction and place; the first page where the cursor is not ours or of another order."""
    if not cursor:
        return False, None
    try:
        of, value, call_id, backwards = signing.loads(cursor, salt=_SALT)
        if of != sort:
            return False, None
        return bool(backwards), parse_position(sort.lstrip("-"), value, call_id)
    except (signing.BadSignature, ValueError, TypeError):
        return False, None
