"""Forms of the operator admin, in its look."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget


class RowForm(forms.Form):
    """The form of an action on a row, which it knows."""

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row


class ReasonForm(RowForm):
    """Why: it goes into the audit log, and often to the people whom it concerns."""

    reason = forms.CharField(
        label="Reason", max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "autofocus": True})
    )


class ConfirmedReasonForm(ReasonForm):
    """A reason, and the name of what is at stake, typed: for what cannot be taken back."""

    confirmation = forms.CharField(
        label="Type its name to confirm", widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )

    def clean_confirmation(self) -> str:
        typed: str = self.cleaned_data["confirmation"]
        if typed.strip() != str(self.row):
            raise forms.ValidationError(f"Type {self.row} exactly.")
        return typed
