"""Rules as a form: the same fields in the portal and in the operator admin."""

import re
from typing import Any

from django import forms

from apps.governance.errors import InvalidPolicy
from apps.governance.policies.hours import DAYS, clock_text, days_text
from apps.governance.policies.rules import Rules, read_rules

_WINDOW = re.compile(r"([a-z,\s-]+?)\s+(\d\d:\d\d)\s*[-–]\s*(\d\d:\d\d)\Z")
_LISTS = ("models", "providers", "regions", "tools")


class Lines(forms.CharField):
    """Several values, one a line."""

    def __init__(self, **options: Any) -> None:
        rows = {"rows": 2, "spellcheck": "false", "autocomplete": "off"}
        super().__init__(max_length=20_000, required=False, widget=forms.Textarea(attrs=rows), **options)

    def clean(self, value: Any) -> Any:
        """The lines that are not empty."""
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class RulesForm(forms.Form):
    """What a policy asks. Everything is optional; what is left empty asks nothing."""

    models_allow = Lines(label="Only these models", help_text="One a line; * stands for any letters: gpt-4o*")
    models_deny = Lines(label="Not these models")
    providers_allow = Lines(label="Only these providers")
    providers_deny = Lines(label="Not these providers")
    regions_allow = Lines(
        label="Only in these regions", help_text="A provider whose region is not known is left out."
    )
    regions_deny = Lines(label="Not in these regions")
    max_retention_days = forms.IntegerField(
        label="Providers keep data at most", required=False, min_value=0, max_value=36_500,
        help_text="Days; 0: not at all. A provider of which it is not known is left out.",
    )  # fmt: skip
    no_training = forms.BooleanField(label="Providers do not train on the data", required=False)
    max_output_tokens = forms.IntegerField(
        label="Output tokens of an answer", required=False, min_value=1, max_value=10_000_000,
        help_text="Who asks for more is refused; who names no limit gets this one.",
    )  # fmt: skip
    no_tools = forms.BooleanField(label="No tools at all", required=False)
    tools_allow = Lines(
        label="Only these tools",
        help_text="A function's name, or a provider's tool such as web_search or mcp.",
    )
    tools_deny = Lines(label="Not these tools")
    approved_prompts_only = forms.BooleanField(label="Only approved prompts may be used", required=False)
    hours_windows = Lines(
        label="Only in these hours", help_text="A window a line: mon-fri 08:00-18:00, or sat,sun 22:00-04:00"
    )
    hours_zone = forms.CharField(
        label="By the clocks of",
        required=False,
        max_length=60,
        help_text="Such as Europe/Berlin; UTC if left empty.",
    )

    groups = (
        ("Models and providers", ("models_allow", "models_deny", "providers_allow", "providers_deny")),
        (
            "Where data goes",
            ("regions_allow", "regions_deny", "max_retention_days", "no_training"),
        ),
        (
            "What may be asked for",
            ("max_output_tokens", "no_tools", "tools_allow", "tools_deny", "approved_prompts_only"),
        ),
        ("When", ("hours_windows", "hours_zone")),
    )

    def fieldsets(self) -> list[dict[str, Any]]:
        """The form in groups, for a page."""
        return [{"legend": name, "fields": [self[field] for field in fields]} for name, fields in self.groups]

    @staticmethod
    def initial_of(rules: Rules) -> dict[str, Any]:
        """The fields as these rules fill them."""
        said: dict[str, Any] = {
            "max_retention_days": rules.max_retention_days,
            "no_training": rules.no_training,
            "max_output_tokens": rules.max_output_tokens,
            "no_tools": rules.tools is not None and rules.tools.allow == (),
            "approved_prompts_only": rules.approved_prompts_only,
        }
        for name in _LISTS:
            names = getattr(rules, name)
            said[f"{name}_allow"] = "\n".join(names.allow or ()) if names else ""
            said[f"{name}_deny"] = "\n".join(names.deny) if names else ""
        if rules.hours is not None:
            said["hours_zone"] = rules.hours.zone
            said["hours_windows"] = "\n".join(
                f"{days_text(each.days)} {clock_text(each.begins)}-{clock_text(each.ends)}"
                for each in rules.hours.windows
            )
        return said

    def clean(self) -> dict[str, Any]:
        """Read the fields as rules, and put each problem at its field."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                cleaned["rules"] = read_rules(self._json(cleaned))
            except InvalidPolicy as wrong:
                for where, what in wrong.problems.items():
                    self.add_error(self._field_of(where), f"{what[:1].upper()}{what[1:]}.")
        return cleaned

    def _json(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        said: dict[str, Any] = {
            "max_output_tokens": cleaned["max_output_tokens"],
            "approved_prompts_only": cleaned["approved_prompts_only"],
            "data_handling": {
                "max_retention_days": cleaned["max_retention_days"],
                "no_training": cleaned["no_training"],
            },
        }
        for name in _LISTS:
            said[name] = {"allow": cleaned[f"{name}_allow"] or None, "deny": cleaned[f"{name}_deny"]}
        if cleaned["no_tools"]:
            said["tools"]["allow"] = []
        if cleaned["hours_windows"]:
            windows = [_window(line) for line in cleaned["hours_windows"]]
            said["hours"] = {"zone": cleaned["hours_zone"] or "UTC", "windows": windows}
        return said

    def _field_of(self, where: str) -> str | None:
        flat = where.replace(".", "_")
        for name in self.fields:
            if flat in (name, f"data_handling_{name}") or flat.startswith(f"{name}_"):
                return name
        return None


def _window(line: str) -> dict[str, Any]:
    found = _WINDOW.match(line.lower())
    if found is None:
        return {"days": None, "from": None, "to": None}
    days: list[str] = []
    for part in re.split(r"[,\s]+", found[1].strip()):
        first, dash, last = part.partition("-")
        if dash and first in DAYS and last in DAYS:
            begins, count = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7 + 1
            days += [DAYS[(begins + offset) % 7] for offset in range(count)]
        else:
            days.append(part)
    return {"days": days, "from": found[2], "to": found[3]}
