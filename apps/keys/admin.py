"""A tenant's keys, on its page in the operator admin: seen, and revoked when one leaked."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.keys import selectors, services
from apps.operator_site.forms import ReasonForm
from apps.operator_site.site import site
from apps.operator_site.types import RowAction, RowPage
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState


def _has_schema(tenant: Any) -> bool:
    return tenant.state in (TenantState.READY, TenantState.SUSPENDED)


def _keys(request: HttpRequest, tenant: Any) -> dict[str, Any]:
    with in_tenant(tenant.as_ref()):
        return {"keys": selectors.keys(limit=200), "in_use": selectors.keys_in_use()}


class RevokeForm(ReasonForm):
    """Which key, by the ten characters that people see of it, and why."""

    key_id = forms.CharField(
        label="Key id",
        max_length=10,
        min_length=10,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    field_order = ["key_id", "reason"]


def _revoke(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    with in_tenant(tenant.as_ref()):
        found = selectors.key_by_public_id(answers["key_id"])
        ended = services.revoke_key(found.id, actor=request.actor, reason=answers["reason"])
    return f"{ended.name} ({ended.key_id}) is refused from its next request on."


site.hang(
    "tenancy.tenant",
    pages=[RowPage("keys", "API keys", "operator/tenant_keys.html", _keys, applies=_has_schema)],
    actions=[
        RowAction(
            name="revoke-key",
            label="Revoke a key",
            run=_revoke,
            form=RevokeForm,
            explanation="For a key that leaked or is misused. It cannot be taken back; child keys end too.",
            applies=_has_schema,
            is_dangerous=True,
        )
    ],
)
