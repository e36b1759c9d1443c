"""Forms of policies in the portal."""

from typing import Any

from django import forms

from apps.ai_usage.types import Endpoint
from apps.errors import DomainError
from apps.governance.policies.forms import Lines, RulesForm
from apps.identity import selectors as identity
from apps.keys import selectors as keys

_MOST = 500
_ENDPOINTS = [
    (Endpoint.CHAT_COMPLETIONS.value, "Chat completions"),
    (Endpoint.RESPONSES.value, "Responses"),
    (Endpoint.MESSAGES.value, "Messages (Anthropic)"),
    (Endpoint.EMBEDDINGS.value, "Embeddings"),
]


class PolicyForm(RulesForm):
    """A new version of a policy."""

    based_on = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    note = forms.CharField(
        max_length=300, required=False, help_text="Why, for whoever reads the versions later."
    )

    def show(self, refused: DomainError) -> None:
        """Put a refusal above the form."""
        self.add_error(None, refused.message)


def subject_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Whom a policy can be made for."""
    return [
        ("Everybody", [("tenant/self", "Whole tenant")]),
        (
            "Service accounts",
            [(f"service_account/{each.id}", each.name) for each in keys.service_accounts(limit=_MOST)],
        ),
        ("Members", [(f"member/{each.id}", each.label) for each in identity.members()[:_MOST]]),
        (
            "Keys",
            [
                (f"key/{each.id}", f"{each.name} ({each.hint})")
                for each in keys.keys(limit=_MOST, only_living=True)
            ],
        ),
    ]


class ExplainForm(forms.Form):
    """A request that nobody makes."""

    key = forms.ChoiceField()
    endpoint = forms.ChoiceField(choices=_ENDPOINTS, required=False)
    model = forms.CharField(max_length=120)
    max_output_tokens = forms.IntegerField(label="Output tokens asked for", required=False, min_value=1)
    tools = Lines(help_text="Names of functions, one a line.")
    at = forms.DateTimeField(
        label="At", required=False, help_text="In UTC, such as 2026-12-24 22:00. Empty: now."
    )
    address = forms.GenericIPAddressField(label="From the address", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(each.id), f"{each.name} ({each.hint})") for each in keys.keys(limit=_MOST)]
        self.fields["key"].choices = choices  # type: ignore[attr-defined]

    def asked(self) -> dict[str, Any]:
        """The request as `asking.explain` takes it."""
        data = self.cleaned_data
        return {
            "key_id": data["key"],
            "endpoint": data["endpoint"] or Endpoint.CHAT_COMPLETIONS.value,
            "model": data["model"],
            "max_output_tokens": data["max_output_tokens"],
            "tools": data["tools"],
            "stream": False,
            "at": data["at"],
            "address": data["address"],
        }
