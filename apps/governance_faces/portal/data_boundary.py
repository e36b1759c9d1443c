"""The page of the data boundary: what is done about each class, how long content is kept, and a box to try it."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.errors import DomainError
from apps.governance.content import keys as content_keys
from apps.governance.data_boundary import settings as boundaries
from apps.governance.data_boundary.classes import STRICTNESS, WORDS, DataClass
from apps.governance.data_boundary.policy import Boundary
from apps.governance.gates import EveryPlan
from apps.governance_faces.api.data_boundary import found_in
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_STAYS = EveryPlan("a boundary that was set goes on to protect, so it can always be seen")
_CHOICES = [("", "Not looked for"), ("allow", "Count"), ("redact", "Redact"), ("block", "Block")]


class BoundaryForm(forms.Form):
    """What holds beside the classes."""

    restore = forms.BooleanField(
        required=False, label="Put redacted values back into answers, for the caller alone"
    )
    on_failure = forms.ChoiceField(
        label="A text that cannot be inspected",
        choices=[("block", "is blocked"), ("allow", "goes on, with an alarm")],
    )
    phone_regions = forms.CharField(
        label="Regions of national phone numbers",
        required=False,
        max_length=120,
        help_text="Codes such as US, DE, GB. International numbers are recognised everywhere.",
    )
    retention_days = forms.IntegerField(
        label="Days to keep prompts and answers",
        required=False,
        min_value=1,
        max_value=3650,
        help_text="Empty: nothing is kept. What is kept is redacted and encrypted; each reading is recorded.",
    )


def _rows(boundary: Boundary, answers: Any) -> list[dict[str, Any]]:
    required = boundaries.floor()
    rows = []
    for kind in DataClass:
        label, hint = WORDS[kind]
        cells = []
        for direction, chosen, least in (
            ("request", boundary.request.get(kind), required.request.get(kind)),
            ("response", boundary.response.get(kind), required.response.get(kind)),
        ):
            name = f"{direction}-{kind.value}"
            value = (
                answers.get(name, chosen.value if chosen else "")
                if answers
                else (chosen.value if chosen else "")
            )
            rank = STRICTNESS[least]
            allowed = [(word, text) for word, text in _CHOICES if not least or _rank(word) >= rank]
            if least and _rank(value) < rank:
                value = least.value
            options = [{"value": word, "label": text, "chosen": word == value} for word, text in allowed]
            where = "requests" if direction == "request" else "answers"
            cells.append({"name": name, "options": options, "label": f"{label} in {where}", "where": where})
        rows.append({"label": label, "hint": hint, "cells": cells})
    return rows


def _rank(word: str) -> int:
    return {"": 0, "allow": 1, "redact": 2, "block": 3}.get(word, 0)


@portal_view(
    scopes={"GET": "settings:read", "POST": "settings:write"},
    feature={"GET": _STAYS, "POST": "data_boundary"},
)
def data_boundary(request: "PortalRequest") -> HttpResponse:
    """Show and replace the data boundary."""
    own = boundaries.own_boundary()
    initial = own.to_json() | {"phone_regions": ", ".join(own.phone_regions)}
    form = BoundaryForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        settings = form.cleaned_data | {
            "phone_regions": [
                each.strip() for each in form.cleaned_data["phone_regions"].split(",") if each.strip()
            ],
            "request": _chosen(request, "request"),
            "response": _chosen(request, "response"),
        }
        try:
            boundaries.save_boundary(Boundary.from_json(settings), actor=request.actor)
        except DomainError as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, "The data boundary is changed. It holds from the next request on.")
            return redirect("governance:data-boundary")
    return _page(request, own, form, status=400 if form.is_bound else 200)


@portal_view(scopes={"POST": "settings:read"}, feature="data_boundary")
def try_it(request: "PortalRequest") -> HttpResponse:
    """Show what would be found in a text. Nothing is stored."""
    text = request.POST.get("text", "")[:20_000]
    own = boundaries.own_boundary()
    form = BoundaryForm(initial=own.to_json() | {"phone_regions": ", ".join(own.phone_regions)})
    try:
        found = found_in(text)["findings"]
    except DomainError as refused:
        messages.error(request, refused.message)
        found = []
    pieces: list[dict[str, str]] = []
    position = 0
    for each in found:
        pieces.append({"text": text[position : each["start"]], "kind": ""})
        pieces.append({"text": text[each["start"] : each["end"]], "kind": WORDS[DataClass(each["class"])][0]})
        position = each["end"]
    pieces.append({"text": text[position:], "kind": ""})
    return _page(request, own, form, tried={"text": text, "pieces": pieces, "count": len(found)})


@portal_view(
    scopes={"POST": "settings:write"}, feature=EveryPlan("a tenant can always destroy what is kept of it")
)
def shred(request: "PortalRequest") -> HttpResponse:
    """Destroy what is kept of prompts and answers."""
    content_keys.shred(actor=request.actor)
    messages.success(request, "What was kept of prompts and answers can never be read again.")
    return redirect("governance:data-boundary")


def _chosen(request: HttpRequest, direction: str) -> dict[str, str]:
    return {
        kind.value: word for kind in DataClass if (word := request.POST.get(f"{direction}-{kind.value}", ""))
    }


def _page(
    request: "PortalRequest",
    own: Boundary,
    form: BoundaryForm,
    *,
    tried: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    may_write = "settings:write" in request.member.scopes
    if not may_write:
        for field in form.fields.values():
            field.disabled = True
    context = {
        "rows": _rows(own, request.POST if form.is_bound else None),
        "form": form,
        "may_write": may_write,
        "most_days": boundaries.most_retention_days(),
        "tried": tried,
    }
    return render(request, "governance/data_boundary.html", context, status=status)
