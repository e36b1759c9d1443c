"""Forms of keys. They shape what is typed; whether it may be is the services' to say."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from uuid_utils.compat import uuid7

from apps.errors import DomainError
from apps.identity.types import Member
from apps.keys import selectors
from apps.keys.errors import InvalidNetwork
from apps.keys.types import KEY_SCOPES, Environment, Key, KeyLimits, KeyPolicy

_LIFETIMES = (1, 7, 30, 90, 180, 365)
_MOST = 2**31 - 1


class Lines(forms.CharField):
    """Several values, one a line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        options.setdefault(
            "widget", forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"})
        )
        super().__init__(max_length=20_000, **options)

    def clean(self, value: Any) -> Any:
        """The lines that are not empty."""
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class Tags(Lines):
    """`name=value`, one a line."""

    def clean(self, value: Any) -> dict[str, str]:
        """Values by name."""
        found: dict[str, str] = {}
        for line in super().clean(value):
            name, sign, text = line.partition("=")
            if not sign or not name.strip() or not text.strip():
                raise forms.ValidationError(f"Write name=value, not “{line[:60]}”.")
            found[name.strip()] = text.strip()
        return found


def _count(label: str, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, help_text=help_text, required=False, min_value=1, max_value=_MOST)


class RefusableForm(forms.Form):
    """A form that shows a service's refusal where it was caused."""

    def show(self, refused: DomainError) -> None:
        """Put the refusal at its field, or above the form."""
        at_networks = isinstance(refused, InvalidNetwork) and "addresses_allowed" in self.fields
        self.add_error("addresses_allowed" if at_networks else None, refused.message)


class Restrictions(RefusableForm):
    """What of a key can change after it was made."""

    name = forms.CharField(max_length=80, help_text="What uses it, such as “checkout service”.")
    models_allowed = Lines(label="Models", help_text="One a line. Empty: every model of the plan.")
    addresses_allowed = Lines(
        label="Networks",
        help_text="Addresses or CIDRs, one a line, such as 203.0.113.0/24. Empty: from anywhere.",
    )
    requests_per_minute = _count("Requests a minute", "Inside the plan's limit.")
    tokens_per_minute = _count("Tokens a minute", "Inside the plan's limit.")
    concurrent_calls = _count("Calls at once", "Inside the plan's limit.")
    shadow_limits = forms.BooleanField(
        label="Only try these limits out",
        required=False,
        help_text="They refuse nothing; the key's page says what they would have refused.",
    )
    tags = Tags(help_text="name=value, one a line. Copied onto each call, to tell whose cost it is.")

    def restrictions(self) -> dict[str, Any]:
        """The arguments that issuing and changing a key have in common."""
        data = self.cleaned_data
        return {
            "name": data["name"],
            "models_allowed": data["models_allowed"],
            "addresses_allowed": data["addresses_allowed"],
            "limits": KeyLimits(**{name: data[name] for name in KeyLimits.__slots__}),
            "tags": data["tags"],
        }


class EditForm(Restrictions):
    """Changing a key."""

    @staticmethod
    def initial_of(key: Key) -> dict[str, Any]:
        """What is written on the key now."""
        return {
            "name": key.name,
            "models_allowed": "\n".join(key.models_allowed),
            "addresses_allowed": "\n".join(key.addresses_allowed),
            "tags": "\n".join(f"{name}={value}" for name, value in key.tags.items()),
            **{name: getattr(key.limits, name) for name in KeyLimits.__slots__},
        }


class CreateForm(Restrictions):
    """A new key, limited to what this member may give."""

    # The new key's id: a form that is sent twice makes one key.
    attempt = forms.UUIDField(widget=forms.HiddenInput)
    owner = forms.ChoiceField(help_text="A service account's keys stay when a person leaves.")
    environment = forms.ChoiceField(
        choices=[(Environment.LIVE.value, "Live"), (Environment.TEST.value, "Test")],
        help_text="Live and test keys never mix.",
    )
    scopes = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        help_text="What the key may do: as little as will do.",
        label="May",
    )
    lifetime = forms.TypedChoiceField(coerce=int, label="Expires after")
    field_order = ["attempt", "name", "owner", "environment", "scopes", "lifetime"]

    def __init__(self, *args: Any, member: Member, policy: KeyPolicy, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "attempt": uuid7(),
            "scopes": ["inference:write"],
            "lifetime": policy.default_days,
        } | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        accounts = [account for account in selectors.service_accounts(limit=500) if account.is_active]
        self.fields["owner"].choices = [  # type: ignore[attr-defined]
            ("me", f"Me ({member.label})"),
            *((str(account.id), f"{account.name} (service account)") for account in accounts),
        ]
        self.fields["scopes"].choices = [  # type: ignore[attr-defined]
            (name, words) for name, words in KEY_SCOPES.items() if name in member.scopes
        ]
        days = sorted({*(days for days in _LIFETIMES if days <= policy.maximum_days), policy.default_days})
        self.fields["lifetime"].choices = [  # type: ignore[attr-defined]
            (str(number), "1 day" if number == 1 else f"{number} days") for number in days
        ]

    def fieldsets(self) -> list[dict[str, Any]]:
        """The form in groups, for the page."""
        return [
            {"legend": "Who and where", "fields": [self["name"], self["owner"], self["environment"]]},
            {"legend": "Rights", "fields": [self["scopes"], self["lifetime"]]},
            {
                "legend": "Restrictions",
                "help": "All optional. They can be changed later.",
                "fields": [
                    self[name]
                    for name in (
                        "models_allowed", "addresses_allowed", "requests_per_minute", "tokens_per_minute",
                        "concurrent_calls", "shadow_limits", "tags",
                    )
                ],
            },
        ]  # fmt: skip

    def wish(self, now: datetime) -> dict[str, Any]:
        """The arguments of `issue_key`."""
        data = self.cleaned_data
        owner = data["owner"]
        return {
            **self.restrictions(),
            "id": data["attempt"],
            "scopes": data["scopes"],
            "environment": data["environment"],
            "service_account_id": None if owner == "me" else UUID(owner),
            "expires_at": now + timedelta(days=data["lifetime"]),
            "now": now,
        }


class RotateForm(forms.Form):
    """How long the old secret goes on working."""

    overlap_hours = forms.IntegerField(min_value=0, max_value=30 * 24)


class ChildForm(forms.Form):
    """A part of a key, for one agent or task."""

    name = forms.CharField(max_length=80)
    hours = forms.IntegerField(min_value=1, max_value=30 * 24)


class ServiceAccountForm(RefusableForm):
    """A new service account."""

    name = forms.CharField(max_length=80, help_text="The program or system, such as “nightly reports”.")
    description = forms.CharField(max_length=300, required=False)


class RulesForm(RefusableForm):
    """What the tenant asks of all its keys."""

    default_days = forms.IntegerField(
        min_value=1, max_value=365, label="Keys expire after, unless chosen otherwise", help_text="Days."
    )
    maximum_days = forms.IntegerField(
        min_value=1,
        max_value=365,
        label="Keys live at most",
        help_text="Days. Holds for keys made from now on.",
    )
    warn_unused_days = forms.IntegerField(
        min_value=1,
        max_value=3650,
        required=False,
        label="Warn about keys unused for",
        help_text="Days. Empty: never.",
    )
    disable_unused_days = forms.IntegerField(
        min_value=1,
        max_value=3650,
        required=False,
        label="Disable keys unused for",
        help_text="Days. Empty: never.",
    )
    revoke_on_leak = forms.BooleanField(
        required=False, label="Revoke a key at once when its secret is reported found in public"
    )
    addresses_allowed = Lines(
        label="Networks", help_text="Outside them no key of this tenant is accepted. Empty: from anywhere."
    )

    def policy(self) -> KeyPolicy:
        """The policy as typed."""
        data = dict(self.cleaned_data)
        return KeyPolicy(**data | {"addresses_allowed": tuple(data["addresses_allowed"])})
