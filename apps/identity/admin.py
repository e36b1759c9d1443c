"""Operators, and the people of a tenant, in the operator admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from apps.errors import DomainError
from apps.identity import operators, selectors
from apps.identity.invitations import invite_member
from apps.identity.models import User
from apps.identity.operator_sign_in import OperatorSignIn
from apps.identity.roles import Role
from apps.operator_site.forms import ReasonForm, RowForm
from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import RowAction, RowPage
from apps.tenancy.selectors import primary_domain
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState

site.login_form = OperatorSignIn


class NewOperatorForm(forms.ModelForm):
    """A new operator, made by the same service as on the command line."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = User
        fields = ["email", "name"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                operators.check_new(email=cleaned["email"], password=cleaned["password"])
            except DomainError as refused:
                raise forms.ValidationError(refused.message) from refused
        return cleaned


class PasswordForm(RowForm):
    """A new password for an operator who has lost theirs."""

    password = forms.CharField(
        label="New password",
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )


def _set_password(request: Any, operator: User, answers: dict[str, Any]) -> str:
    operators.set_operator_password(
        operator_id=operator.pk, password=answers["password"], actor=request.actor
    )
    return f"{operator} has a new password and is signed out everywhere."


def _shut_out(request: Any, operator: User, answers: dict[str, Any]) -> str:
    operators.deactivate_operator(operator_id=operator.pk, reason=answers["reason"], actor=request.actor)
    return f"{operator} is signed out and cannot sign in any more."


def _let_in(request: Any, operator: User, answers: dict[str, Any]) -> str:
    operators.reactivate_operator(operator_id=operator.pk, reason=answers["reason"], actor=request.actor)
    return f"{operator} can sign in again."


@admin.register(User)
class OperatorsPage(OperatorPage):
    """The user table of `public`, which holds operators only."""

    may_delete = False  # an operator who left is shut out; the audit log goes on naming them
    list_display = ["email", "name", "shown_state", "last_login", "created_at"]
    search_fields = ["email", "name"]
    fields = ["email", "name", "is_active", "last_login", "created_at"]
    readonly_fields = ["email", "is_active", "last_login", "created_at"]
    row_actions = [
        RowAction("set-password", "Set password", _set_password, form=PasswordForm),
        RowAction(
            "shut-out",
            "Shut out",
            _shut_out,
            applies=lambda operator: operator.is_active,
            is_dangerous=True,
            form=ReasonForm,
        ),
        RowAction("let-in", "Let in again", _let_in, applies=lambda operator: not operator.is_active),
    ]

    @display(description="State", label={"active": "success", "shut out": "danger"})
    def shown_state(self, operator: User) -> str:
        return "active" if operator.is_active else "shut out"

    def kind(self, row: Any = None) -> str:
        return "operator"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewOperatorForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            super().get_fieldsets(request, obj)
            if obj
            else [(None, {"fields": ["email", "name", "password"]})]
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else []

    def save_model(self, request: Any, obj: User, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made = operators.create_operator(**form.cleaned_data, actor=request.actor)
        obj.pk = made.id
        obj.refresh_from_db()


def _has_schema(tenant: Any) -> bool:
    return tenant.state in (TenantState.READY, TenantState.SUSPENDED)


def _members(request: HttpRequest, tenant: Any) -> dict[str, Any]:
    with in_tenant(tenant.as_ref()):
        return {"people": selectors.members()}


class OwnerForm(ReasonForm):
    """Who becomes an owner of the tenant, and why an operator makes them one."""

    email = forms.EmailField(label="E-mail", widget=UnfoldAdminEmailInputWidget())
    name = forms.CharField(label="Name", max_length=120, required=False, widget=UnfoldAdminTextInputWidget())
    field_order = ["email", "name", "reason"]


def _invite_owner(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    host = primary_domain(tenant.pk)
    port = request.META.get("SERVER_PORT", "")
    with in_tenant(tenant.as_ref()):
        invitation = invite_member(
            email=answers["email"],
            name=answers["name"],
            role=Role.OWNER,
            actor=request.actor,
            base_url=operators.portal_url(host, scheme=request.scheme, operator_port=port),
        )
        site.record(
            request,
            "tenant.owner_invited",
            target_kind="tenant",
            target_id=tenant.pk,
            details={"email": answers["email"], "reason": answers["reason"]},
        )
    if invitation.mailed:
        return (
            f"{invitation.member.email} is invited as an owner of {tenant.slug}; the link is in their mail."
        )
    return f"Mail to {invitation.member.email} could not be sent. Give them this link: {invitation.link}"


site.hang(
    "tenancy.tenant",
    pages=[RowPage("members", "Members", "operator/tenant_members.html", _members, applies=_has_schema)],
    actions=[
        RowAction(
            "invite-owner",
            "Invite an owner",
            _invite_owner,
            form=OwnerForm,
            explanation="For a tenant whose owners are all gone. The tenant sees it in its own audit log.",
            applies=_has_schema,
        )
    ],
)
