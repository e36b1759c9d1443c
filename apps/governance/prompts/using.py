"""Prompts as calls use them: loaded whole, for one epoch of their tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.governance.models import Prompt
from apps.governance.prompts.errors import PromptNotUsable
from apps.governance.prompts.templates import Template

DEFAULT_LABEL = "production"


@dataclass(frozen=True, slots=True)
class PromptUse:
    """Which prompt a call used."""

    id: UUID
    slug: str
    version: int
    # Only approved versions can be used by calls.
    approved: bool = True

    @property
    def ref(self) -> str:
        """How it is named in records and policies: `greeting@3`."""
        return f"{self.slug}@{self.version}"


@dataclass(frozen=True, slots=True)
class UsablePrompt:
    """A prompt with its approved versions, and the states of the others."""

    id: UUID
    slug: str
    labels: Mapping[str, int]
    templates: Mapping[int, Template]
    states: Mapping[int, str]

    def pick(self, *, version: Any = None, label: Any = None) -> tuple[PromptUse, Template]:
        """A version by number or label, `production` where neither is given; PromptNotUsable where there is none."""
        if version is not None and label is not None:
            raise PromptNotUsable("give `version` or `label`, not both")
        if version is None:
            name = DEFAULT_LABEL if label is None else label
            number = self.labels.get(name) if isinstance(name, str) else None
            if number is None:
                raise PromptNotUsable(
                    f"it has no label {str(name)[:40]!r}; give a `version` or another `label`"
                )
        else:
            text = str(version)
            number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
            if isinstance(version, bool) or number not in self.states:
                raise PromptNotUsable(f"it has no version {text[:20]!r}")
        template = self.templates.get(number)
        if template is None:
            raise PromptNotUsable(
                f"version {number} is {self.states[number].replace('_', ' ')}, not approved"
            )
        return PromptUse(self.id, self.slug, number), template


def usable_prompt(ref: str) -> UsablePrompt | None:
    """The prompt of the tenant in force with this id or slug."""
    try:
        row = Prompt.objects.filter(pk=UUID(ref)).first()
    except ValueError:
        row = Prompt.objects.filter(slug=ref).first()
    if row is None:
        return None
    versions = list(row.versions.all())
    return UsablePrompt(
        row.pk,
        row.slug,
        dict(row.labels),
        {each.number: Template.from_json(each.content) for each in versions if each.state == "approved"},
        {each.number: each.state for each in versions},
    )
