"""The list of webhook endpoints, one of them with its deliveries, and making one."""

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.errors import DomainError
from apps.governance import selectors, services
from apps.governance_faces.portal.webhook_forms import WebhookForm
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.governance.webhooks.types import Endpoint, NewEndpoint
    from apps.identity.types import PortalRequest

_PAGE = 25
_WHY = {
    "by_hand": "Somebody of yours paused it.",
    "failing": "It accepted nothing for three days.",
    "gone": "It answered 410, which asks us not to call it again.",
}


@portal_view(scopes="webhooks:read", feature="webhooks")
def endpoints(request: "PortalRequest") -> HttpResponse:
    """Every endpoint and how it does."""
    return render(
        request,
        "governance/webhooks.html",
        {
            "endpoints": [shown(endpoint) for endpoint in selectors.webhook_endpoints(limit=50)],
            "create_url": reverse("governance:webhook-create")
            if "webhooks:write" in request.member.scopes
            else "",
        },
    )


@portal_view(scopes={"GET": "webhooks:write", "POST": "webhooks:write"}, feature="webhooks")
def create(request: "PortalRequest") -> HttpResponse:
    """Make an endpoint; the answer to POST is the one page that shows its secret."""
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = services.create_webhook(actor=request.actor, **form.cleaned_data)
        except DomainError as refused:
            form.show(refused)
        else:
            return show_secret(request, made)
    return render(
        request,
        "governance/webhook_form.html",
        {
            "form": form,
            "title": "Add an endpoint",
            "back": reverse("governance:webhooks"),
            "save": "Add endpoint",
        },
        status=400 if form.is_bound else 200,
    )


def show_secret(request: "PortalRequest", made: "NewEndpoint", *, rotated: bool = False) -> HttpResponse:
    """The one page that shows a secret. Nothing keeps it: not the session, not a message, not a cache."""
    page = render(
        request,
        "governance/webhook_secret.html",
        {"endpoint": shown(made.endpoint), "secret": made.secret, "rotated": rotated},
    )
    page.headers["Cache-Control"] = "no-store"
    return page


@portal_view(scopes="webhooks:read", feature="webhooks")
def detail(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """One endpoint: what it is told, how it does, its deliveries."""
    endpoint = selectors.webhook_endpoint(endpoint_id)
    state = request.GET.get("state", "")
    state = state if state in ("waiting", "delivered", "failed") else ""
    found = selectors.webhook_deliveries(
        endpoint_id, before=_uuid(request.GET.get("cursor", "")), state=state, limit=_PAGE + 1
    )
    here = reverse("governance:webhook", args=[endpoint_id])
    tabs = [("", "All"), ("waiting", "Waiting"), ("delivered", "Delivered"), ("failed", "Failed")]
    return render(
        request,
        "governance/webhook.html",
        {
            "endpoint": shown(endpoint),
            "tabs": [
                {"label": label, "url": f"{here}?state={name}" if name else here, "current": name == state}
                for name, label in tabs
            ],
            "deliveries": [_row(endpoint_id, each) for each in found[:_PAGE]],
            "page": {"next_cursor": found[_PAGE - 1].id} if len(found) > _PAGE else {},
            "can_change": "webhooks:write" in request.member.scopes,
            "urls": _urls(endpoint_id),
        },
    )


@portal_view(scopes="webhooks:read", feature="webhooks")
def delivery(request: "PortalRequest", endpoint_id: UUID, delivery_id: UUID) -> HttpResponse:
    """One event for one endpoint: what was sent, and every attempt."""
    endpoint = selectors.webhook_endpoint(endpoint_id)
    found = selectors.webhook_delivery(endpoint_id, delivery_id)
    return render(
        request,
        "governance/webhook_delivery.html",
        {
            "endpoint": shown(endpoint),
            "delivery": found,
            "payload": json.dumps(found.payload, indent=2, ensure_ascii=False),
            "can_replay": "webhooks:write" in request.member.scopes
            and endpoint.is_enabled
            and found.state != "waiting",
            "replay_url": reverse("governance:webhook-redeliver", args=[endpoint_id, delivery_id]),
        },
    )


def shown(endpoint: "Endpoint") -> dict[str, Any]:
    """An endpoint as the templates take it."""
    failing = endpoint.is_enabled and endpoint.failures > 0
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": endpoint.events,
        "status": ("failing" if failing else "active") if endpoint.is_enabled else "disabled",
        "why": _WHY.get(endpoint.disabled_because, ""),
        "endpoint": endpoint,
        "page": reverse("governance:webhook", args=[endpoint.id]),
    }


def _row(endpoint_id: UUID, delivery: Any) -> dict[str, Any]:
    last = delivery.attempts[0] if delivery.attempts else None
    return {
        "delivery": delivery,
        "last": (last["status"] or "No answer") if last else None,
        "url": reverse("governance:webhook-delivery", args=[endpoint_id, delivery.id]),
    }


def _urls(endpoint_id: UUID) -> dict[str, str]:
    actions = ("edit", "enable", "disable", "delete", "rotate", "test", "replay")
    return {"list": reverse("governance:webhooks")} | {
        action: reverse(f"governance:webhook-{action}", args=[endpoint_id]) for action in actions
    }


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
