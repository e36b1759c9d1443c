"""Everything that changes a prompt: drafting, reviewing with four eyes, labelling, retiring."""

import re
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.governance.announcing import announce_change
from apps.governance.audit import record_audit
from apps.governance.models import Prompt, PromptVersion
from apps.governance.prompts.errors import (
    InvalidPrompt,
    PromptExists,
    PromptNotFound,
    ReviewRefused,
    WrongVersionState,
)
from apps.governance.prompts.templates import Template
from apps.governance.types import Actor

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,58}[a-z0-9])?\Z")
_LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_MOST_LABELS = 20


@dataclass(frozen=True, slots=True)
class Person:
    """Who writes or reviews: `member:<id>` or `service_account:<id>`, whichever key they use, and by name."""

    id: str
    name: str
    actor: Actor


def prompts() -> list[Prompt]:
    """Every prompt of the tenant in force, by slug, with its versions."""
    return list(Prompt.objects.prefetch_related("versions").order_by("slug"))


def prompt_of(ref: str) -> Prompt:
    """One prompt by id or slug; PromptNotFound for any other."""
    try:
        row = Prompt.objects.filter(pk=UUID(ref)).first()
    except ValueError:
        row = Prompt.objects.filter(slug=ref).first()
    if row is None:
        raise PromptNotFound
    return row


def version_of(prompt: Prompt, number: int) -> PromptVersion:
    """One version of a prompt; PromptNotFound where there is none."""
    row = prompt.versions.filter(number=number).first()
    if row is None:
        raise PromptNotFound("version")
    return row


@transaction.atomic
def create_prompt(
    *, by: Person, slug: str, name: str, content: Any, description: str = "", note: str = ""
) -> Prompt:
    """Make a prompt with its first version, a draft."""
    if not _SLUG.match(slug) or _is_uuid(slug):
        raise InvalidPrompt("a slug is 1 to 60 lower-case letters, digits, hyphens and underscores")
    template = Template.from_json(content)
    if Prompt.objects.filter(slug=slug).exists():
        raise PromptExists(slug)
    prompt = Prompt.objects.create(slug=slug, name=name[:120], description=description[:500])
    _audit("prompt.created", by, prompt)
    _draft(prompt, template, note, by)
    announce_change()
    return prompt


@transaction.atomic
def change_prompt(ref: str, *, by: Person, name: str, description: str) -> Prompt:
    """Change what a prompt is called. What it says is in its versions."""
    prompt = _locked(ref)
    before = {"name": prompt.name, "description": prompt.description}
    prompt.name, prompt.description = name[:120], description[:500]
    prompt.save()
    _audit("prompt.changed", by, prompt, before=before, after={"name": name, "description": description})
    return prompt


@transaction.atomic
def draft_version(ref: str, *, by: Person, content: Any, note: str = "") -> PromptVersion:
    """Write a new version, as a draft."""
    return _draft(_locked(ref), Template.from_json(content), note, by)


@transaction.atomic
def change_draft(ref: str, number: int, *, by: Person, content: Any, note: str = "") -> PromptVersion:
    """Rewrite a draft of one's own; somebody else's words are changed in a version of one's own."""
    prompt = _locked(ref)
    version = _in_state(prompt, number, "draft")
    if version.author_id != by.id:
        raise ReviewRefused("it is somebody else's draft; draft a version of your own")
    version.content, version.note = Template.from_json(content).to_json(), note[:500]
    version.save()
    _audit("prompt.drafted", by, prompt, version=number, changed=True)
    return version


def submit(ref: str, number: int, *, by: Person) -> PromptVersion:
    """Give a draft to review."""
    return _move(ref, number, by, "draft", "in_review", "prompt.submitted", submitted_at=timezone.now())


def reject(ref: str, number: int, *, by: Person) -> PromptVersion:
    """Give a version back to its author, as a draft."""
    return _move(ref, number, by, "in_review", "draft", "prompt.rejected", submitted_at=None)


@transaction.atomic
def approve(ref: str, number: int, *, by: Person) -> PromptVersion:
    """Approve somebody else's version: from now on calls can use it. The database refuses an author's own as well."""
    version = version_of(prompt_of(ref), number)
    if version.author_id == by.id:
        raise ReviewRefused("you wrote it; somebody else has to look at it")
    if not by.id.startswith("member:"):
        raise ReviewRefused("a review takes a person, and this is a key of a service account")
    return _move(
        ref,
        number,
        by,
        "in_review",
        "approved",
        "prompt.approved",
        reviewer_id=by.id,
        reviewer_name=by.name[:200],
        reviewed_at=timezone.now(),
    )


@transaction.atomic
def retire(ref: str, number: int, *, by: Person) -> PromptVersion:
    """Let a version be used no longer. One that a label points at first gets its label taken away."""
    prompt = _locked(ref)
    version = version_of(prompt, number)
    if version.state == "retired":
        raise WrongVersionState(number, version.state, "not retired")
    labels = sorted(label for label, at in prompt.labels.items() if at == number)
    if labels:
        raise WrongVersionState(number, f"what {', '.join(labels)} points at", "without a label")
    version.state, version.retired_at = "retired", timezone.now()
    version.save()
    _audit("prompt.retired", by, prompt, version=number)
    announce_change()
    return version


@transaction.atomic
def set_label(ref: str, label: str, number: int | None, *, by: Person) -> Prompt:
    """Point a label at an approved version, or at none."""
    prompt = _locked(ref)
    if not _LABEL.match(label):
        raise InvalidPrompt("a label is 1 to 40 lower-case letters, digits, hyphens and underscores")
    before = prompt.labels.get(label)
    if number is None:
        prompt.labels.pop(label, None)
    else:
        _in_state(prompt, number, "approved")
        if before is None and len(prompt.labels) >= _MOST_LABELS:
            raise InvalidPrompt(f"a prompt has at most {_MOST_LABELS} labels")
        prompt.labels[label] = number
    if before == number:
        return prompt
    prompt.save()
    _audit("prompt.labelled", by, prompt, label=label, before=before, after=number)
    announce_change()
    return prompt


def differences(ref: str, older: int, newer: int) -> list[str]:
    """What differs between two versions, as a unified diff."""
    prompt = prompt_of(ref)
    first, second = (Template.from_json(version_of(prompt, number).content) for number in (older, newer))
    return list(
        unified_diff(
            first.as_lines(), second.as_lines(), f"version {older}", f"version {newer}", lineterm="", n=3
        )
    )


def _draft(prompt: Prompt, template: Template, note: str, by: Person) -> PromptVersion:
    last = prompt.versions.order_by("-number").first()
    number = last.number + 1 if last else 1
    version = PromptVersion.objects.create(
        prompt=prompt,
        number=number,
        content=template.to_json(),
        note=note[:500],
        author_id=by.id,
        author_name=by.name[:200],
    )
    _audit("prompt.drafted", by, prompt, version=number)
    return version


@transaction.atomic
def _move(
    ref: str, number: int, by: Person, state: str, to: str, action: str, **stamped: Any
) -> PromptVersion:
    prompt = _locked(ref)
    version = _in_state(prompt, number, state)
    version.state = to
    for name, value in stamped.items():
        setattr(version, name, value)
    version.save()
    _audit(action, by, prompt, version=number)
    announce_change()
    return version


def _locked(ref: str) -> Prompt:
    return Prompt.objects.select_for_update().get(pk=prompt_of(ref).pk)


def _in_state(prompt: Prompt, number: int, state: str) -> PromptVersion:
    version = version_of(prompt, number)
    if version.state != state:
        raise WrongVersionState(number, version.state, state.replace("_", " "))
    return version


def _audit(action: str, by: Person, prompt: Prompt, **details: Any) -> None:
    record_audit(
        action,
        actor=by.actor,
        target_kind="prompt",
        target_id=prompt.pk,
        details={"slug": prompt.slug, **details},
    )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
