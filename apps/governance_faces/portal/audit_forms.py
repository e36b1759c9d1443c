"""Forms of the audit log. They shape what is typed; whether it may be is the services' to say."""

from typing import Any

from django import forms

from apps.governance.types import ActorKind


class SearchForm(forms.Form):
    """What to look for in the audit log."""

    text = forms.CharField(max_length=200, required=False)
    action = forms.CharField(max_length=60, required=False)
    actor = forms.CharField(max_length=200, required=False)
    actor_kind = forms.ChoiceField(
        required=False, choices=[("", ""), *((kind.value, kind.value) for kind in ActorKind)]
    )
    target_kind = forms.CharField(max_length=40, required=False)
    target_id = forms.CharField(max_length=64, required=False)
    request_id = forms.CharField(max_length=64, required=False)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)

    def wanted(self) -> dict[str, Any]:
        """What was said and can be understood; the rest does not narrow."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(max_length=300)
