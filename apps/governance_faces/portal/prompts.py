"""Pages of prompts: the list, one with its versions and what differs, writing, reviewing."""

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.errors import DomainError
from apps.governance.prompts import workflow
from apps.governance.prompts.templates import ACCEPTS, TYPES
from apps.governance.prompts.workflow import Person
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_MOVES = {
    "submit": (workflow.submit, "is in review. Somebody else has to approve it."),
    "approve": (workflow.approve, "is approved, and can be used by calls."),
    "reject": (workflow.reject, "is a draft again."),
    "retire": (workflow.retire, "can be used no longer."),
}
_EXAMPLE = '{"name": {"type": "string", "max_length": 80}}'


class VersionForm(forms.Form):
    """What a version says."""

    system = forms.CharField(
        required=False,
        max_length=100_000,
        label="Instructions",
        help_text="The system message. Variables are written {{name}}.",
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
    )
    user = forms.CharField(
        required=False,
        max_length=100_000,
        label="User message",
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
    )
    variables = forms.CharField(
        required=False,
        max_length=20_000,
        label="Variables",
        help_text=f"JSON by name, such as <code>{_EXAMPLE}</code>. Types: {', '.join(TYPES)}; one with a "
        "<code>default</code> may be left out.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    accepts = forms.MultipleChoiceField(
        required=False,
        label="A caller may also add",
        choices=[("messages", "messages of its own"), ("tools", "tools and the answer's form")],
        widget=forms.CheckboxSelectMultiple,
    )
    note = forms.CharField(required=False, max_length=500, label="What changed")

    def clean_variables(self) -> Any:
        """The object that is written there."""
        try:
            found = json.loads(self.cleaned_data["variables"] or "{}")
        except ValueError:
            raise forms.ValidationError("This is not JSON.") from None
        if not isinstance(found, dict):
            raise forms.ValidationError("Write a JSON object by name.")
        return found

    def content(self) -> dict[str, Any]:
        """The template as the API takes it."""
        data = self.cleaned_data
        messages_ = [
            {"role": role, "content": data[role]} for role in ("system", "user") if data[role].strip()
        ]
        accepts = [each for each in ACCEPTS if each in data["accepts"]]
        return {"messages": messages_, "variables": data["variables"], "accepts": accepts}


class PromptForm(VersionForm):
    """A new prompt with its first version."""

    slug = forms.CharField(max_length=60, help_text="How calls name it: lower-case letters, digits, hyphens.")
    name = forms.CharField(max_length=120)
    field_order = ["slug", "name"]


@portal_view(scopes={"GET": "prompts:read", "POST": "prompts:write"}, feature="prompts")
def prompt_list(request: "PortalRequest") -> HttpResponse:
    """Every prompt; POST makes one."""
    form = PromptForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            made = workflow.create_prompt(
                by=_person(request),
                slug=data["slug"],
                name=data["name"],
                content=form.content(),
                note=data["note"],
            )
        except DomainError as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, f"{made.name} has a first draft. Give it to review when it is ready.")
            return redirect("governance:prompt", prompt_id=made.pk)
    shown = [
        {
            "prompt": prompt,
            "versions": len(versions := list(prompt.versions.all())),
            "waiting": sum(each.state == "in_review" for each in versions),
            "labels": [f"{label}: {number}" for label, number in sorted(prompt.labels.items())],
            "url": reverse("governance:prompt", args=[prompt.pk]),
        }
        for prompt in workflow.prompts()
    ]
    may_write = "prompts:write" in request.member.scopes
    context = {"prompts": shown, "form": form if may_write else None}
    return render(request, "governance/prompts.html", context, status=400 if form.is_bound else 200)


@portal_view(scopes={"GET": "prompts:read", "POST": "prompts:write"}, feature="prompts")
def prompt_page(request: "PortalRequest", prompt_id: UUID) -> HttpResponse:
    """One prompt: its versions, what differs between two, and how to use it. POST drafts a version."""
    prompt = workflow.prompt_of(str(prompt_id))
    versions = list(prompt.versions.all())
    newest = versions[0] if versions else None
    form = VersionForm(
        request.POST if request.method == "POST" else None, initial=_initial(newest.content) if newest else {}
    )
    if request.method == "POST" and form.is_valid():
        try:
            made = workflow.draft_version(
                str(prompt_id), by=_person(request), content=form.content(), note=form.cleaned_data["note"]
            )
        except DomainError as refused:
            form.add_error(None, refused.message)
        else:
            messages.success(request, f"Version {made.number} is drafted.")
            return redirect("governance:prompt", prompt_id=prompt_id)
    older, newer = _number(request, "older"), _number(request, "newer")
    numbers = [each.number for each in versions]
    if (older not in numbers or newer not in numbers) and len(numbers) > 1:
        older, newer = numbers[1], numbers[0]
    context = {
        "prompt": prompt,
        "labels": sorted(prompt.labels.items()),
        "versions": [_version(each, prompt.labels, request) for each in versions],
        "approved": [each.number for each in versions if each.state == "approved"],
        "numbers": numbers,
        "older": older,
        "newer": newer,
        "lines": [_line(each) for each in workflow.differences(str(prompt_id), older, newer)]
        if older in numbers and newer in numbers
        else [],
        "snippet": _snippet(prompt, newest),
        "form": form if "prompts:write" in request.member.scopes else None,
        "may_approve": "prompts:approve" in request.member.scopes,
        "urls": {"prompts": reverse("governance:prompts")},
    }
    return render(request, "governance/prompt.html", context, status=400 if form.is_bound else 200)


@portal_view(scopes={"POST": "prompts:write"}, feature="prompts")
def submit(request: "PortalRequest", prompt_id: UUID, number: int) -> HttpResponse:
    """Give a draft to review."""
    return _moved(request, prompt_id, number, "submit")


@portal_view(scopes={"POST": "prompts:approve"}, feature="prompts")
def review(request: "PortalRequest", prompt_id: UUID, number: int, move: str) -> HttpResponse:
    """Approve, give back or retire a version."""
    return _moved(request, prompt_id, number, move)


@portal_view(scopes={"POST": "prompts:approve"}, feature="prompts")
def label(request: "PortalRequest", prompt_id: UUID) -> HttpResponse:
    """Point a label at a version, or take it away."""
    name, number = request.POST.get("label", "").strip(), request.POST.get("version", "")
    try:
        workflow.set_label(
            str(prompt_id),
            name,
            int(number) if number.isdigit() and len(number) < 9 else None,
            by=_person(request),
        )
    except DomainError as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, f"The label {name} is changed. It holds from the next request on.")
    return redirect("governance:prompt", prompt_id=prompt_id)


def _moved(request: "PortalRequest", prompt_id: UUID, number: int, move: str) -> HttpResponse:
    service, words = _MOVES[move]
    try:
        service(str(prompt_id), number, by=_person(request))
    except DomainError as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, f"Version {number} {words}")
    return redirect("governance:prompt", prompt_id=prompt_id)


def _person(request: "PortalRequest") -> Person:
    return Person(f"member:{request.member.id}", request.member.label, request.actor)


def _version(version: Any, labels: dict[str, int], request: "PortalRequest") -> dict[str, Any]:
    mine = version.author_id == f"member:{request.member.id}"
    return {
        "row": version,
        "labels": sorted(name for name, number in labels.items() if number == version.number),
        "may_submit": version.state == "draft" and "prompts:write" in request.member.scopes,
        "may_review": version.state == "in_review" and not mine,
        "may_retire": version.state != "retired",
        "is_mine": mine,
        "messages": version.content["messages"],
    }


def _initial(content: dict[str, Any]) -> dict[str, Any]:
    def joined(role: str) -> str:
        return "\n\n".join(each["content"] for each in content["messages"] if each["role"] == role)

    variables = json.dumps(content["variables"], indent=2) if content["variables"] else ""
    return {
        "system": joined("system"),
        "user": joined("user"),
        "variables": variables,
        "accepts": content["accepts"],
    }


def _snippet(prompt: Any, newest: Any) -> str:
    variables = {name: f"<{name}>" for name in newest.content["variables"]} if newest else {}
    named = {"id": prompt.slug, "label": "production", "variables": variables}
    return json.dumps({"model": "gpt-4o-mini", "lockstep_prompt": named}, indent=2)


def _line(text: str) -> dict[str, str]:
    sign = text[:1]
    return {"text": text, "tone": {"+": "good", "-": "bad"}.get(sign, "quiet")}


def _number(request: "PortalRequest", name: str) -> int:
    word = request.GET.get(name, "")
    return int(word) if word.isascii() and word.isdigit() and len(word) < 9 else 0
