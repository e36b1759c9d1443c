"""Bounds of one tenant and of all, and a tenant's policies, in the operator admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from apps.governance.models import PolicyDefaultBound
from apps.governance.policies import reading, saving
from apps.governance.policies.forms import RulesForm
from apps.governance.policies.records import Bounds
from apps.governance.policies.rules import Rules, describe_rules, read_rules
from apps.operator_site.forms import ReasonForm
from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import RowAction, RowPage
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState


def _in_their_look(form: forms.BaseForm) -> None:
    for field in form.fields.values():
        if isinstance(field, forms.BooleanField):
            field.widget = UnfoldBooleanWidget()
        elif isinstance(field, forms.IntegerField):
            field.widget = UnfoldAdminIntegerFieldWidget()
        elif isinstance(field.widget, forms.Textarea):
            field.widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})
        else:
            field.widget = UnfoldAdminTextInputWidget()


class BoundsForm(RulesForm, ReasonForm):
    """The bounds of one tenant, begun with those in force."""

    field_order = ["reason"]

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:
        if row is not None:
            with in_tenant(row.as_ref()):
                kwargs["initial"] = _begun(reading.policy_bounds())
        super().__init__(*args, row=row, **kwargs)
        _in_their_look(self)


class DefaultBoundsForm(RulesForm, forms.ModelForm):
    """The bounds of every tenant without its own, begun with those in force."""

    is_removed = forms.BooleanField(
        label="Take them away",
        required=False,
        help_text="Then nothing is bounded where a tenant has no bounds.",
    )
    reason = forms.CharField(max_length=300)

    class Meta:
        model = PolicyDefaultBound
        fields = ["reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["initial"] = _begun(reading.default_policy_bounds()) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        _in_their_look(self)


@admin.register(PolicyDefaultBound)
class PolicyDefaultBoundPage(OperatorPage):
    """Every version that ever was; a change is a new one, and holds on every tenant's next request."""

    may_change = may_delete = False
    list_display = ["number", "shown_rules", "reason", "author_name", "created_at"]
    form = DefaultBoundsForm

    @display(description="Rules")
    def shown_rules(self, version: PolicyDefaultBound) -> str:
        if version.is_removed:
            return "taken away"
        return "; ".join(_phrases(read_rules(version.rules))) or "nothing is bounded"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return ["number", "shown_rules", "reason", "author_name", "created_at"]
        return ["reason", *RulesForm.base_fields, "is_removed"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj) if obj is not None else []

    def save_model(self, request: Any, obj: PolicyDefaultBound, form: Any, change: bool) -> None:
        said = form.cleaned_data
        rules = None if said["is_removed"] else said["rules"]
        saving.set_default_bounds(rules, reason=said["reason"], actor=request.actor)
        made = PolicyDefaultBound.objects.latest("number")
        obj.pk, obj._state.adding = made.pk, False


def _set(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    with in_tenant(tenant.as_ref()):
        bounds = saving.set_bounds(answers["rules"], reason=answers["reason"], actor=request.actor)
    number = bounds.number if bounds else 0
    return f"Bounds version {number} of {tenant.slug} hold from its next request on."


def _remove(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    with in_tenant(tenant.as_ref()):
        saving.set_bounds(None, reason=answers["reason"], actor=request.actor)
    return f"{tenant.slug} has no bounds of its own any more; those of every tenant hold."


def _page(request: HttpRequest, tenant: Any) -> dict[str, Any]:
    with in_tenant(tenant.as_ref()):
        bounds = reading.policy_bounds()
        standing = [each for each in reading.standing_policies() if each.enforced or each.shadow]
    return {
        "bounds": bounds,
        "bound_rules": _phrases(bounds.rules) if bounds else [],
        "policies": [
            {
                "level": each.level,
                "subject": each.subject_id or "",
                "version": each.newest.number,
                "enforced": _phrases(each.enforced.rules) if each.enforced else [],
                "shadow": _phrases(each.shadow.rules) if each.shadow else [],
                "author": each.newest.author_name,
                "at": each.newest.created_at,
            }
            for each in standing
        ],
    }


def _has_own(tenant: Any) -> bool:
    if not _has_schema(tenant):
        return False
    with in_tenant(tenant.as_ref()):
        return reading.own_policy_bounds() is not None


def _has_schema(tenant: Any) -> bool:
    return tenant.state in (TenantState.READY, TenantState.SUSPENDED)


def _begun(bounds: Bounds | None) -> dict[str, Any]:
    return RulesForm.initial_of(bounds.rules if bounds else Rules())


def _phrases(rules: Rules) -> list[str]:
    return [f"{rule.value}: {text}" for rule, text in describe_rules(rules).items()]


site.hang(
    "tenancy.tenant",
    actions=[
        RowAction(
            name="policy-bounds",
            label="Set policy bounds",
            run=_set,
            form=BoundsForm,
            explanation="What the tenant's calls may use at most. Its own policies can only tighten it, and what of "
            "them is looser has no effect. These replace the bounds of every tenant.",
            applies=_has_schema,
        ),
        RowAction(
            name="remove-policy-bounds",
            label="Take policy bounds away",
            run=_remove,
            explanation="Then the bounds of every tenant hold for this one too.",
            applies=_has_own,
            is_dangerous=True,
        ),
    ],
    pages=[RowPage("policies", "Policies", "operator/tenant_policies.html", _page, applies=_has_schema)],
)
