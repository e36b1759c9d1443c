"""What an operator fills in: a plan's terms, a tenant's plan, credit and exceptions."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps import money
from apps.ai_usage import selectors as tables
from apps.billing import selectors
from apps.billing.catalogue.reading import (
    COUNT_LIMITS,
    MONEY_LIMITS,
    SOLD_FEATURES,
    read_feature,
    read_limit,
)
from apps.billing.types import PlanTerms
from apps.operator_site.forms import ConfirmedReasonForm, ReasonForm, RowForm


def _lines(rows: int) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows})


class TermsForm(RowForm):
    """A plan's terms. Saving them publishes a version; the one before stays as it was sold."""

    price_per_month = forms.DecimalField(
        min_value=0, max_digits=20, decimal_places=3, widget=UnfoldAdminDecimalFieldWidget()
    )
    currency = forms.RegexField(r"^[A-Z]{3}$", widget=UnfoldAdminTextInputWidget(), initial="USD")
    markup_percent = forms.DecimalField(
        min_value=-100, max_digits=12, decimal_places=4, widget=UnfoldAdminDecimalFieldWidget()
    )
    models = forms.CharField(
        widget=_lines(4), help_text="Route names, one a line; * alone is every route that is priced."
    )
    features = forms.CharField(
        required=False,
        widget=_lines(4),
        help_text="One a line: a name for yes, -name for no, name=choice. "
        f"There are {', '.join(SOLD_FEATURES)}.",
    )
    limits = forms.CharField(
        required=False,
        widget=_lines(6),
        help_text=f"One a line, as in keys: 5. There are {', '.join(sorted(COUNT_LIMITS | MONEY_LIMITS))}. "
        "One that is left out does not bound.",
    )

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:
        if row is not None and row.pk and "initial" not in kwargs:
            kwargs["initial"] = _as_text(selectors.newest_plan(row.name).terms)
        super().__init__(*args, row=row, **kwargs)

    def clean_models(self) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(self.cleaned_data["models"].split()))
        known = {route.model for route in tables.read_entries().routes}
        if unknown := [name for name in names if name != "*" and name not in known]:
            raise forms.ValidationError(f"There is no route {unknown[0]}.")
        return names

    def clean_features(self) -> dict[str, bool | str]:
        found: dict[str, bool | str] = {}
        for word in self.cleaned_data["features"].split():
            name, said, choice = word.lstrip("-").partition("=")
            try:
                found[name] = read_feature(name, choice if said else str(not word.startswith("-")).lower())
            except ValueError as wrong:
                raise forms.ValidationError(f"{name}: {wrong}.") from None
        return found

    def clean_limits(self) -> dict[str, int | str]:
        found: dict[str, int | str] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["limits"].splitlines())):
            name, _, value = line.partition(":")
            try:
                found[name.strip()] = read_limit(name.strip(), value.strip())
            except ValueError as wrong:
                raise forms.ValidationError(f"{name.strip()}: {wrong}.") from None
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        price, currency = cleaned.get("price_per_month"), cleaned.get("currency")
        if price is not None and currency and -price.as_tuple().exponent > money.minor_digits(currency):
            self.add_error("price_per_month", f"{currency} has {money.minor_digits(currency)} decimals.")
        return cleaned


def _feature_text(name: str, value: bool | str) -> str:
    if isinstance(value, bool):
        return name if value else f"-{name}"
    return f"{name}={value}"


def _as_text(terms: PlanTerms) -> dict[str, Any]:
    return {
        "price_per_month": f"{terms.price_per_month:.2f}",
        "currency": terms.currency,
        "markup_percent": f"{terms.markup_percent.normalize():f}",
        "models": "\n".join(terms.models),
        "features": "\n".join(_feature_text(name, value) for name, value in sorted(terms.features.items())),
        "limits": "\n".join(f"{name}: {value}" for name, value in sorted(terms.limits.items())),
    }


class PlanChoiceForm(RowForm):
    """The plan that a tenant is on from now on."""

    plan = forms.ChoiceField(widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [plan.terms.name for plan in selectors.newest_plans()]
        self.fields["plan"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]


class CreditForm(ReasonForm):
    """Credit in minor units of the tenant's currency."""

    amount_minor = forms.IntegerField(
        label="Amount in cents",
        help_text="The next invoices spend it first. Below zero takes back what is unspent.",
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    field_order = ["amount_minor", "reason"]


class OverrideForm(ReasonForm):
    """An exception from a tenant's plan."""

    name = forms.CharField(help_text="features.sso or limits.keys", widget=UnfoldAdminTextInputWidget())
    value = forms.CharField(
        required=False,
        help_text="true, false or a choice for a feature; a number for a limit, empty for unlimited.",
        widget=UnfoldAdminTextInputWidget(),
    )
    expires_at = forms.SplitDateTimeField(
        required=False, label="Until (UTC)", widget=UnfoldAdminSplitDateTimeWidget()
    )
    field_order = ["name", "value", "expires_at", "reason"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        name, text = cleaned.get("name", ""), cleaned.get("value", "").strip()
        prefix, _, what = name.partition(".")
        try:
            if prefix == "features":
                cleaned["value"] = read_feature(what, text)
            elif prefix == "limits":
                cleaned["value"] = read_limit(what, text) if text else None
            else:
                raise ValueError("is neither a feature with true or false nor a limit")
        except ValueError as wrong:
            raise forms.ValidationError(f"{name} {wrong}.") from None
        return cleaned


class DeletionForm(ConfirmedReasonForm):
    """Why, how long it can still be stopped, and the slug typed out."""

    grace_days = forms.IntegerField(
        label="Days until the data is erased",
        min_value=0,
        max_value=365,
        initial=30,
        widget=UnfoldAdminIntegerFieldWidget(),
    )
