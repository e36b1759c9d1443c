"""Forms of webhooks. They shape what is typed; whether it may be is the services' to say."""

from typing import Any

from django import forms

from apps.errors import DomainError
from apps.governance.errors import WebhookAddressRefused
from apps.governance.selectors import WEBHOOK_EVENTS


class WebhookForm(forms.Form):
    """An endpoint: where it is, and what it is told."""

    url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="https, on the public internet, port 443 or 8443.",
        widget=forms.URLInput(
            attrs={"placeholder": "https://hooks.example.com/lockstep", "autocomplete": "off"}
        ),
    )
    description = forms.CharField(label="Description", max_length=200, required=False)
    events = forms.MultipleChoiceField(
        label="Events",
        help_text="The audit log is only sent where you choose it here.",
        choices=[
            ("*", "Everything but the audit log"),
            *(
                (f"{area}.*", f"All of {area}")
                for area in dict.fromkeys(e.split(".")[0] for e in WEBHOOK_EVENTS)
            ),
            *((event, event) for event in WEBHOOK_EVENTS),
        ],
        widget=forms.CheckboxSelectMultiple,
    )

    def groups(self) -> list[dict[str, Any]]:
        """The events with their boxes, by area; the first group is the one box for everything."""
        found: dict[str, dict[str, Any]] = {}
        for box in self["events"].subwidgets:
            value = str(box.data["value"])
            area = "" if value == "*" else value.split(".")[0]
            group = found.setdefault(area, {"legend": area.capitalize(), "boxes": []})
            words = f"All of these, and what is added to them ({value})" if value.endswith(".*") else value
            group["boxes"].append({"box": box, "words": box.choice_label if value == "*" else words})
        return list(found.values())

    def show(self, refused: DomainError) -> None:
        """Put the refusal at its field, or above the form."""
        self.add_error("url" if isinstance(refused, WebhookAddressRefused) else None, refused.message)


class RotateForm(forms.Form):
    """How long both secrets sign."""

    overlap_hours = forms.IntegerField(min_value=0, max_value=7 * 24)
