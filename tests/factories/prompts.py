"""Prompts in any state, for tests about calls."""

from typing import Any
from uuid import uuid4

from apps.governance.prompts import workflow
from apps.governance.prompts.workflow import Person
from apps.governance.types import Actor

ANN = Person("member:" + str(uuid4()), "Ann", Actor.system("ann"))
BEN = Person("member:" + str(uuid4()), "Ben", Actor.system("ben"))
GREETING = {
    "messages": [
        {"role": "system", "content": "Be brief. Speak {{language}}."},
        {"role": "user", "content": "Greet {{ name }}."},
    ],
    "variables": {"name": {"max_length": 20}, "language": {"default": "English"}},
}


def approved_prompt(slug: str = "greeting", content: Any = None, *, label: str = "production") -> Any:
    """A prompt of the tenant in force whose first version is approved and labelled."""
    prompt = workflow.create_prompt(by=ANN, slug=slug, name=slug.title(), content=content or GREETING)
    approve_version(slug, 1)
    if label:
        workflow.set_label(slug, label, 1, by=BEN)
    return prompt


def approve_version(slug: str, number: int) -> None:
    """Take a draft through review."""
    workflow.submit(slug, number, by=ANN)
    workflow.approve(slug, number, by=BEN)
