"""Invoices: what is owed, for what, and how it comes to the last digit."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps import money
from apps.billing import selectors
from apps.billing.allocation import from_minor
from apps.billing.csv_export import lines_as_csv
from apps.billing.types import (
    InvoiceDetail,
    InvoiceHeader,
    InvoiceState,
    LineItem,
    LineKind,
    SubscriptionInfo,
)
from apps.governance.gates import EveryPlan
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_PAGE = 25
_BELOW_THE_LINE = (LineKind.CARRY, LineKind.CREDIT)


_EVERY_PLAN = EveryPlan("whoever is billed may see the bill, its lines and the plan")


@portal_view(scopes="invoices:read", feature=_EVERY_PLAN)
def invoice_list(request: "PortalRequest") -> HttpResponse:
    """The plan in force, the running month, and every invoice."""
    tenant_id = request.tenant.id
    found = selectors.invoices(tenant_id=tenant_id, limit=_PAGE + 1, before=_cursor(request))
    current = selectors.current_invoice(tenant_id=tenant_id)
    context = {
        "plan": _plan(selectors.subscription_of(tenant_id=tenant_id), current),
        "current": current
        and {
            "url": _url(current),
            "period_label": _month(current),
            "amount": current.total,
            "currency": current.currency,
            "ends_at": current.ends_at,
        },
        "invoices": [_row(invoice) for invoice in found[:_PAGE]],
        "page": {"next_cursor": str(found[_PAGE - 1].id) if len(found) > _PAGE else None},
    }
    return render(request, "billing/invoices.html", context)


@portal_view(scopes="invoices:read", feature=_EVERY_PLAN)
def invoice_detail(request: "PortalRequest", invoice_id: UUID) -> HttpResponse:
    """One invoice, ready for paper."""
    found = selectors.invoice(invoice_id, tenant_id=request.tenant.id)
    context = {
        "invoice": _sheet(found, request.tenant.name, selectors.statement_hash_of(found.header)),
        "urls": {
            "invoices": reverse("billing:invoices"),
            "csv": reverse("billing:invoice_csv", args=[invoice_id]),
        },
    }
    return render(request, "billing/invoice_detail.html", context)


@portal_view(scopes="invoices:read", feature=_EVERY_PLAN)
def invoice_csv(request: "PortalRequest", invoice_id: UUID) -> HttpResponse:
    """The lines with their exact amounts, as a table."""
    found = selectors.invoice(invoice_id, tenant_id=request.tenant.id)
    name = found.header.number or f"draft-{found.header.starts_at:%Y-%m}"
    return HttpResponse(
        lines_as_csv(found.lines, found.header.currency),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _cursor(request: "PortalRequest") -> UUID | None:
    try:
        return UUID(request.GET.get("cursor", ""))
    except ValueError:
        return None


def _plan(bought: SubscriptionInfo | None, current: InvoiceHeader | None) -> dict[str, Any] | None:
    if bought is None:
        return None
    return {
        "name": bought.plan.terms.name,
        "price": bought.plan.terms.price_per_month,
        "currency": bought.plan.terms.currency,
        "status": bought.state.value.replace("_", " "),
        "renews_at": current.ends_at if current else None,
    }


def _row(invoice: InvoiceHeader) -> dict[str, Any]:
    return {
        "url": _url(invoice),
        "number": invoice.number,
        "status": invoice.state.value,
        "period_label": _month(invoice),
        "issued_at": invoice.finalized_at,
        "due_at": invoice.due_at,
        "total": invoice.total,
        "currency": invoice.currency,
    }


def _sheet(found: InvoiceDetail, buyer: str, seal: str) -> dict[str, Any]:
    header = found.header
    owed = header.state in (
        InvoiceState.DRAFT,
        InvoiceState.FINALIZING,
        InvoiceState.OPEN,
        InvoiceState.UNCOLLECTIBLE,
    )
    above = [line for line in found.lines if line.kind not in _BELOW_THE_LINE]
    below = [line for line in found.lines if line.kind in _BELOW_THE_LINE and line.amount_minor]
    return {
        "number": header.number,
        "status": header.state.value,
        "period_label": _month(header),
        "period_start": header.starts_at,
        "period_end": header.ends_at,
        "issued_at": header.finalized_at,
        "due_at": header.due_at,
        "paid_at": header.paid_at,
        "currency": header.currency,
        "seller": settings.SELLER,
        "buyer": {"name": buyer, "address": ""},
        "lines": [_line(line, header.currency) for line in above],
        "subtotal": from_minor(sum(line.amount_minor for line in above), header.currency),
        "adjustments": [
            {"label": line.description, "amount": from_minor(line.amount_minor, header.currency)}
            for line in below
        ],
        "total": header.total,
        "paid": header.total if header.state is InvoiceState.PAID else None,
        "due": header.total if owed else money.ZERO,
        "exact_total": header.subtotal,
        "carried": money.EXACT.subtract(header.subtotal, header.total),
        "seal": seal,
    }


def _line(line: LineItem, currency: str) -> dict[str, Any]:
    return {
        "description": line.description,
        "note": "",
        "quantity": line.quantity,
        "unit": "per million" if line.price_per_million is not None else "",
        "rate": line.price_per_million,
        "amount": from_minor(line.amount_minor, currency),
        "exact": _plain(line.amount),
    }


def _plain(amount: Decimal) -> Decimal:
    """Without the zeros that storing adds, so that a round amount equals its share."""
    return Decimal(f"{amount.normalize():f}")


def _month(invoice: InvoiceHeader) -> str:
    return f"{invoice.starts_at:%B %Y}"


def _url(invoice: InvoiceHeader) -> str:
    return reverse("billing:invoice", args=[invoice.id])
