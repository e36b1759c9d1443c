"""Suspending tenants, and both audit logs, in the operator admin. Deleting is billing's: it writes a last invoice."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.http import HttpRequest

from apps.governance import services
from apps.governance.audit import append, record_operator_audit
from apps.governance.audit_heads import last_head
from apps.governance.audit_reading import audit_holds
from apps.governance.models import OperatorAuditEntry
from apps.governance.policies import operator_pages as operator_pages
from apps.governance.selectors import audit_log, entitlements, granted_features, webhook_endpoints
from apps.operator_site.forms import ReasonForm
from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import RowAction, RowPage
from apps.tenancy.selectors import hosts_of
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState

_PAGE = 50

site.records_with(record_operator_audit)


def _suspend(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    services.suspend_tenant(tenant.as_ref(), reason=answers["reason"], actor=request.actor)
    return f"{tenant.slug} is suspended from its next request on."


def _resume(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    services.resume_tenant(tenant.as_ref(), reason=answers["reason"], actor=request.actor)
    return f"{tenant.slug} is served again from its next request on."


def _hold(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    with in_tenant(tenant.as_ref()):
        services.set_audit_hold(reason=answers["reason"], actor=request.actor)
    return f"Nothing is removed from the audit log of {tenant.slug} until this hold is lifted."


def _lift(request: Any, tenant: Any, answers: dict[str, Any]) -> str:
    with in_tenant(tenant.as_ref()):
        services.lift_audit_hold(reason=answers["reason"], actor=request.actor)
    return f"The operators' hold on the audit log of {tenant.slug} is lifted."


def _is_held(tenant: Any) -> bool:
    if not _has_schema(tenant):
        return False
    with in_tenant(tenant.as_ref()):
        return any(hold.by_operator for hold in audit_holds())


def _audit(request: HttpRequest, tenant: Any) -> dict[str, Any]:
    before = request.GET.get("before", "")
    action = request.GET.get("action", "").strip()
    with in_tenant(tenant.as_ref()):
        entries = audit_log(before=int(before) if before.isdigit() else None, action=action, limit=_PAGE + 1)
        holds, head = audit_holds(), last_head()
    shown = entries[:_PAGE]
    return {
        "entries": shown,
        "wanted_action": action,
        "holds": holds,
        "head": head,
        "older": shown[-1].sequence if len(entries) > _PAGE else None,
    }


def _webhooks(request: HttpRequest, tenant: Any) -> dict[str, Any]:
    with in_tenant(tenant.as_ref()):
        found = webhook_endpoints(limit=50)
    return {"endpoints": [{"host": urlsplit(each.url).netloc, "endpoint": each} for each in found]}


def _entitled(request: HttpRequest, tenant: Any) -> dict[str, Any]:
    with in_tenant(tenant.as_ref()):
        return {"entitled": entitlements(), "granted": granted_features()}


def _has_schema(tenant: Any) -> bool:
    return tenant.state in (TenantState.READY, TenantState.SUSPENDED)


def _changed(request: Any, tenant: Any) -> None:
    """What an operator changes on a tenant's page is in the tenant's own log as well."""
    if _has_schema(tenant):
        with in_tenant(tenant.as_ref()):
            append(
                "tenant.changed",
                actor=request.actor,
                target_kind="tenant",
                target_id=tenant.pk,
                details={"name": tenant.name, "hosts": hosts_of(tenant.pk)},
            )


def _host_changed(request: Any, domain: Any) -> None:
    _changed(request, domain.tenant)


site.hang("tenancy.domain", after_change=[_host_changed])
site.hang(
    "tenancy.tenant",
    after_change=[_changed],
    actions=[
        RowAction(
            name="suspend",
            label="Suspend",
            run=_suspend,
            form=ReasonForm,
            explanation="Calls and changes are refused from the next request on; its people still sign in "
            "and read. They see the reason.",
            applies=lambda tenant: tenant.state == TenantState.READY,
            is_dangerous=True,
        ),
        RowAction(
            name="resume",
            label="Resume",
            run=_resume,
            form=ReasonForm,
            applies=lambda tenant: tenant.state == TenantState.SUSPENDED,
        ),
        RowAction(
            name="hold-audit",
            label="Hold the audit log",
            run=_hold,
            form=ReasonForm,
            explanation="A legal hold: nothing is removed from the tenant's audit log, whatever its plan says. The "
            "tenant sees it and cannot lift it.",
            applies=lambda tenant: _has_schema(tenant) and not _is_held(tenant),
        ),
        RowAction(
            name="lift-audit-hold",
            label="Lift the hold",
            run=_lift,
            form=ReasonForm,
            explanation="Entries older than the plan keeps are removed again from the next day on.",
            applies=_is_held,
        ),
    ],
    pages=[
        RowPage("webhooks", "Webhooks", "operator/tenant_webhooks.html", _webhooks, applies=_has_schema),
        RowPage("audit", "Audit log", "operator/tenant_audit.html", _audit, applies=_has_schema),
        RowPage(
            "entitlements",
            "Entitlements",
            "operator/tenant_entitlements.html",
            _entitled,
            applies=_has_schema,
        ),
    ],
)


@admin.register(OperatorAuditEntry)
class OperatorAuditPage(OperatorPage):
    """Read only, for everybody: the tenant plane cannot see the table, and no page changes it."""

    may_add = may_change = may_delete = False
    list_display = ["at", "action", "actor_name", "tenant_id", "target_kind", "target_id"]
    list_filter = ["action", "target_kind"]
    search_fields = ["action", "actor_name", "tenant_id", "target_id"]
    date_hierarchy = "at"
    ordering = ["-sequence"]
