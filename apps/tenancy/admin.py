"""Tenants, their hosts and where their schemas stand, in the operator admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import Panel
from apps.tenancy.hosts import hosts_changed, normalise
from apps.tenancy.models import Domain, SchemaMigration, Tenant

_STATE_COLOURS = {
    "ready": "success",
    "suspended": "danger",
    "provisioning": "info",
    "deleting": "warning",
    "deleted": "warning",
}


class DomainForm(forms.ModelForm):
    """A host as a Host header is compared: with a port or a capital letter nobody would reach it."""

    def clean_domain(self) -> str:
        domain = normalise(self.cleaned_data["domain"])
        if "." not in domain and domain != "localhost":
            raise forms.ValidationError("Write a host name, like portal.example.com.")
        return domain


class DomainLines(BaseInlineFormSet):
    """The hosts of one tenant: exactly one of them is where its links lead."""

    def clean(self) -> None:
        super().clean()
        staying = [
            line.cleaned_data
            for line in self.forms
            if line.is_valid() and line.cleaned_data and not line.cleaned_data.get("DELETE")
        ]
        if sum(bool(line.get("is_primary")) for line in staying) != 1:
            raise forms.ValidationError("Exactly one host must be the primary one.")


class DomainLine(TabularInline):
    model = Domain
    form = DomainForm
    formset = DomainLines
    extra = 0
    fields = ["domain", "is_primary"]


@admin.register(Tenant)
class TenantPage(OperatorPage):
    """What can be done to a tenant, and what is known of it, is hung in by the apps above."""

    # A tenant is made by provisioning, which also gives it a schema, a plan and an owner; it ends by the same
    # road.
    may_add = may_delete = False
    list_display = ["slug", "name", "shown_state", "created_at"]
    list_filter = ["state"]
    search_fields = ["slug", "name", "ref", "id", "domains__domain"]
    fields = ["slug", "name", "state", "suspended_reason", "delete_after", "ref", "id", "created_at"]
    readonly_fields = ["slug", "state", "suspended_reason", "delete_after", "ref", "id", "created_at"]
    inlines = [DomainLine]

    @display(description="State", ordering="state", label=_STATE_COLOURS)
    def shown_state(self, tenant: Tenant) -> str:
        return tenant.state

    def after_change(self, request: HttpRequest, row: Tenant) -> None:
        hosts_changed()


@admin.register(Domain)
class DomainPage(OperatorPage):
    list_display = ["domain", "tenant", "is_primary"]
    list_select_related = ["tenant"]
    search_fields = ["domain", "tenant__slug"]
    form = DomainForm
    autocomplete_fields = ["tenant"]
    # Which host is the primary one is decided on the tenant's page, where all of them are seen.
    readonly_fields = ["is_primary"]

    def has_delete_permission(self, request: HttpRequest, obj: Domain | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.is_primary)

    def after_change(self, request: HttpRequest, row: Domain) -> None:
        hosts_changed()


@admin.register(SchemaMigration)
class SchemaMigrationPage(OperatorPage):
    """Read only: the migration controller writes it."""

    may_add = may_change = may_delete = False
    list_display = ["schema_name", "shown_state", "attempts", "took_ms", "finished_at"]
    list_filter = ["state"]
    search_fields = ["schema_name", "error"]

    @display(
        description="State",
        ordering="state",
        label={"done": "success", "failed": "danger", "running": "info", "pending": "warning"},
    )
    def shown_state(self, row: SchemaMigration) -> str:
        return row.state


def _states(request: HttpRequest) -> dict[str, Any]:
    counted = Tenant.objects.values_list("state").annotate(many=Count("id")).order_by("state")
    return {
        "states": list(counted),
        "failed_schemas": SchemaMigration.objects.filter(state="failed").count(),
    }


site.show_on_home(Panel("operator/panels/tenants.html", _states, place=40))
