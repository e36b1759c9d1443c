"""Endpoints of invoices and the plan."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.response import Response

from apps.billing import selectors
from apps.billing.api.serializers import InvoiceDetailSerializer, InvoiceSerializer, PlanSerializer
from apps.billing.csv_export import lines_as_csv
from apps.billing.errors import NotSubscribed
from apps.governance import selectors as governance
from apps.governance.gates import EveryPlan
from apps.keys.rest import ApiRequest, CursorPage, TenantAPIView, describes, page_of
from apps.tenancy.selectors import current_tenant

_EVERY_PLAN = EveryPlan("whoever is billed may see the bill, its lines and the plan")


class InvoiceList(TenantAPIView):
    """The tenant's invoices."""

    scopes = {"GET": "invoices:read"}
    feature = _EVERY_PLAN

    @describes(page_of(InvoiceSerializer), name="invoices_list", tag="invoices")
    def get(self, request: ApiRequest) -> Response:
        """Invoices, newest period first; the running month's draft is the first one."""
        return CursorPage(request).answer(
            fetch=lambda after, limit: selectors.invoices(
                tenant_id=current_tenant().id, limit=limit, before=UUID(after) if after else None
            ),
            position=lambda invoice: invoice.id,
            show=InvoiceSerializer,
        )


class InvoiceOne(TenantAPIView):
    """One invoice."""

    scopes = {"GET": "invoices:read"}
    feature = _EVERY_PLAN

    @describes(InvoiceDetailSerializer, name="invoices_get", tag="invoices")
    def get(self, request: ApiRequest, invoice_id: UUID) -> Response:
        """An invoice with its lines. While it is a draft, it follows the ledger within seconds."""
        found = selectors.invoice(invoice_id, tenant_id=current_tenant().id)
        return Response(InvoiceDetailSerializer(_flat(found)).data)


class InvoiceLinesCsv(TenantAPIView):
    """One invoice's lines as a table."""

    scopes = {"GET": "invoices:read"}
    feature = _EVERY_PLAN

    @extend_schema(
        operation_id="invoices_lines_csv", tags=["invoices"], responses={(200, "text/csv"): OpenApiTypes.STR}
    )
    def get(self, request: ApiRequest, invoice_id: UUID) -> HttpResponse:
        """The lines as CSV with exact amounts."""
        found = selectors.invoice(invoice_id, tenant_id=current_tenant().id)
        name = found.header.number or f"draft-{found.header.starts_at:%Y-%m}"
        return HttpResponse(
            lines_as_csv(found.lines, found.header.currency),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )


class PlanView(TenantAPIView):
    """What the tenant has bought."""

    scopes = {"GET": "invoices:read"}
    feature = _EVERY_PLAN

    @describes(PlanSerializer, name="plan_get", tag="invoices")
    def get(self, request: ApiRequest) -> Response:
        """The plan in force with the limits as they are resolved now, and where each is from."""
        tenant = current_tenant()
        bought = selectors.subscription_of(tenant_id=tenant.id)
        if bought is None:
            raise NotSubscribed(tenant.slug)
        now = governance.entitlements()
        return Response(
            PlanSerializer(
                {
                    "name": bought.plan.terms.name,
                    "version": bought.plan.number,
                    "state": bought.state.value,
                    "price_per_month": bought.plan.terms.price_per_month,
                    "currency": bought.plan.terms.currency,
                    "since": bought.started_at,
                    "models": now.models,
                    "features": now.features,
                    "limits": now.limits,
                    "origins": now.origins,
                }
            ).data
        )


def _flat(found: Any) -> dict[str, Any]:
    return asdict(found.header) | {"lines": found.lines}
