"""Providers, credentials, routes and rates in the operator admin, and what calls cost and bring in."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.ai_usage import selectors, services
from apps.ai_usage.catalogue_types import CatalogueEntries, PriceEntry, RateTerms, TariffName
from apps.ai_usage.credentials import seal_provider_secret
from apps.ai_usage.models import CostRate, Credential, PriceRate, Provider, Route, RouteTarget
from apps.ai_usage.operator_figures import month_panel, spend_this_month
from apps.ai_usage.quantities import QuantityClass
from apps.governance.services import announce_change
from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import Column, Panel
from apps.tenancy.selectors import all_tenants

# Processes learn of a change of these tables by the version that a trigger moves with each
# (CatalogueVersion).


@admin.register(Provider)
class ProviderPage(OperatorPage):
    list_display = [
        "name",
        "dialect",
        "base_url",
        "region",
        "retention_days",
        "shown_training",
        "enabled",
        "shown_credential",
    ]
    list_filter = ["dialect", "enabled"]
    search_fields = ["name", "base_url"]

    def after_change(self, request: HttpRequest, row: Any) -> None:
        # Policies go by a provider's region and how it handles data: what is said here holds from the next request on.
        for tenant in all_tenants():
            announce_change(tenant)

    @display(description="Trains on data")
    def shown_training(self, provider: Provider) -> str:
        return {None: "not known", True: "yes", False: "no"}[provider.trains_on_data]

    @display(description="Credential", boolean=True)
    def shown_credential(self, provider: Provider) -> bool:
        return provider.credentials.exists()


class NewCredentialForm(forms.ModelForm):
    """A provider's secret on its way in. There is no way out: no page shows it."""

    secret = forms.CharField(
        label="Secret", strip=True, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"})
    )

    class Meta:
        model = Credential
        fields = ["provider"]


@admin.register(Credential)
class CredentialPage(OperatorPage):
    """Written once, used by the gateway, never read by people. The newest of a provider is in use."""

    may_change = False
    list_display = ["provider", "shown_source", "created_at", "in_use"]
    list_filter = ["provider"]
    list_select_related = ["provider"]
    fields = ["provider", "shown_source", "created_at"]
    form = NewCredentialForm

    @display(description="From")
    def shown_source(self, credential: Credential) -> str:
        return credential.source or "typed in here"

    @display(description="In use", boolean=True)
    def in_use(self, credential: Credential) -> bool:
        newest = Credential.objects.filter(provider_id=credential.provider_id).first()
        return newest is not None and newest.pk == credential.pk

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else ["provider", "secret"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else []

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:
        obj.ciphertext = seal_provider_secret(obj.provider_id, form.cleaned_data["secret"])
        super().save_model(request, obj, form, change)


class TargetLine(TabularInline):
    model = RouteTarget
    extra = 0
    min_num = 1
    # A route that leads nowhere would refuse every call.
    validate_min = True
    fields = ["provider", "model", "priority", "weight"]


@admin.register(Route)
class RoutePage(OperatorPage):
    list_display = ["model", "shown_targets", "attempts", "total_timeout", "enabled"]
    list_filter = ["enabled", "targets__provider"]
    search_fields = ["model", "targets__model"]
    inlines = [TargetLine]

    @display(description="Leads to")
    def shown_targets(self, route: Route) -> str:
        return ", ".join(str(target) for target in route.targets.select_related("provider"))


class NewRateForm(forms.ModelForm):
    """The rate of one class of a model from a moment on."""

    quantity_class = forms.ChoiceField(
        label="Class",
        choices=[(name.value, name.value) for name in QuantityClass],
        widget=UnfoldAdminSelectWidget(),
    )
    mode = forms.ChoiceField(
        choices=[("realtime", "realtime"), ("batch", "batch")], widget=UnfoldAdminSelectWidget()
    )
    valid_from = forms.DateTimeField(
        label="Valid from",
        required=False,
        help_text="In UTC. Empty: from now on. What has been priced stays priced.",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "2026-12-01 00:00"}),
    )

    class Meta:
        model = CostRate
        fields = [
            "provider",
            "model",
            "quantity_class",
            "service_tier",
            "context_min",
            "mode",
            "region",
            "cost_per_million",
            "fixed_price_per_million",
            "currency",
            "valid_from",
            "source",
        ]
        help_texts = {
            "model": "As the provider names it.",
            "service_tier": "“default”, unless the provider prices tiers apart.",
            "context_min": "For prompts of more than this many tokens; 0 for all.",
            "region": "Empty for every region.",
            "fixed_price_per_million": "Sold at this on every plan. Empty: cost plus the plan's markup.",
            "source": "Where you read it, and when.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            now = timezone.now()
            cleaned["valid_from"] = cleaned.get("valid_from") or now
            entry = _succession(cleaned)
            problems = selectors.check_entries(CatalogueEntries(prices=(entry,)), now=now)
            if problems:
                raise forms.ValidationError([problem.reason for problem in problems])
            self.entry = entry
        return cleaned

    def _post_clean(self) -> None:
        # The row is not made from this form but by the catalogue's own service, which also ends the one
        # before. Django would check the overlap against the row that is about to end.
        for name, value in self.cleaned_data.items():
            setattr(self.instance, name, value)


def _succession(said: dict[str, Any]) -> PriceEntry:
    """The model's whole tariff from a moment on: what holds then, with one class at another rate."""
    holding = CostRate.objects.filter(
        provider=said["provider"],
        model=said["model"],
        service_tier=said["service_tier"],
        context_min=said["context_min"],
        mode=said["mode"],
        region=said["region"],
    )
    at: datetime = said["valid_from"]
    rates = {
        QuantityClass(row.quantity_class): RateTerms(
            row.cost_per_million, row.fixed_price_per_million, row.currency
        )
        for row in holding.filter(valid_from__lte=at)
        if row.valid_to is None or row.valid_to > at
    }
    cost: Decimal = said["cost_per_million"]
    rates[QuantityClass(said["quantity_class"])] = RateTerms(
        cost, said["fixed_price_per_million"], said["currency"]
    )
    tariff = TariffName(
        said["provider"].name,
        said["model"],
        said["service_tier"],
        said["context_min"],
        said["mode"],
        said["region"],
    )
    return PriceEntry(tariff=tariff, valid_from=at, rates=rates, source=said["source"])


@admin.register(CostRate)
class CostRatePage(OperatorPage):
    """What a provider charges. A rate is succeeded, never edited: calls were priced by it."""

    may_change = may_delete = False
    list_display = [
        "provider",
        "model",
        "quantity_class",
        "cost_per_million",
        "currency",
        "valid_from",
        "valid_to",
        "mode",
        "service_tier",
        "context_min",
    ]
    list_filter = ["provider", "quantity_class", "mode"]
    list_select_related = ["provider"]
    search_fields = ["model", "source"]
    form = NewRateForm

    def save_model(self, request: HttpRequest, obj: CostRate, form: Any, change: bool) -> None:
        entry: PriceEntry = form.entry
        changes = services.apply_entries(CatalogueEntries(prices=(entry,)), now=entry.valid_from)
        made = CostRate.objects.filter(
            provider=obj.provider,
            model=obj.model,
            quantity_class=obj.quantity_class,
            service_tier=obj.service_tier,
            context_min=obj.context_min,
            mode=obj.mode,
            region=obj.region,
            valid_from__lte=entry.valid_from,
        ).latest("valid_from")
        obj.pk, obj._state.adding = made.pk, False
        self._record(request, "succeeded", made, {"changes": [str(change) for change in changes]})
        self._follow_up(request, made)


@admin.register(PriceRate)
class PriceRatePage(OperatorPage):
    """What is charged, per price list. Built from the cost and a plan's markup, or set in the catalogue."""

    may_add = may_change = may_delete = False
    list_display = ["shown_model", "shown_class", "shown_cost", "price_per_million", "price_list"]
    list_filter = ["cost_rate__provider"]
    list_select_related = ["cost_rate__provider"]
    search_fields = ["cost_rate__model", "price_list"]

    @display(description="Model", ordering="cost_rate__model")
    def shown_model(self, price: PriceRate) -> str:
        return f"{price.cost_rate.provider.name}/{price.cost_rate.model}"

    @display(description="Class", ordering="cost_rate__quantity_class")
    def shown_class(self, price: PriceRate) -> str:
        return price.cost_rate.quantity_class

    @display(description="Cost per million", ordering="cost_rate__cost_per_million")
    def shown_cost(self, price: PriceRate) -> str:
        return f"{price.cost_rate.cost_per_million} {price.cost_rate.currency}"


site.hang("tenancy.tenant", columns=[Column("Spend this month", spend_this_month)])
site.show_on_home(Panel("operator/panels/month.html", month_panel, place=10))
