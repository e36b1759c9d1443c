"""What is done to one webhook endpoint from its page."""

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date

from apps.errors import DomainError
from apps.governance import selectors, services
from apps.governance_faces.portal.webhook_forms import RotateForm, WebhookForm
from apps.governance_faces.portal.webhooks import show_secret
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_WRITE = {"POST": "webhooks:write"}


@portal_view(scopes={"GET": "webhooks:write", "POST": "webhooks:write"}, feature="webhooks")
def edit(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Change where an endpoint is, or what it is told."""
    endpoint = selectors.webhook_endpoint(endpoint_id)
    before = {"url": endpoint.url, "description": endpoint.description, "events": list(endpoint.events)}
    form = WebhookForm(request.POST if request.method == "POST" else None, initial=before)
    here = reverse("governance:webhook", args=[endpoint_id])
    if form.is_bound and form.is_valid():
        try:
            services.change_webhook(endpoint_id, actor=request.actor, **form.cleaned_data)
        except DomainError as refused:
            form.show(refused)
        else:
            messages.success(request, "The endpoint is changed.")
            return redirect(here)
    return render(
        request,
        "governance/webhook_form.html",
        {"form": form, "title": "Edit the endpoint", "back": here, "save": "Save"},
        status=400 if form.is_bound else 200,
    )


@portal_view(scopes=_WRITE, feature="webhooks")
def enable(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Send again."""
    services.enable_webhook(endpoint_id, actor=request.actor)
    messages.success(request, "The endpoint is sent to again. Failed deliveries can be sent again below.")
    return redirect("governance:webhook", endpoint_id=endpoint_id)


@portal_view(scopes=_WRITE, feature="webhooks")
def disable(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Pause."""
    services.disable_webhook(endpoint_id, actor=request.actor)
    messages.success(request, "Nothing is sent to the endpoint any more.")
    return redirect("governance:webhook", endpoint_id=endpoint_id)


@portal_view(scopes=_WRITE, feature="webhooks")
def delete(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Delete an endpoint and what is known of its deliveries."""
    services.delete_webhook(endpoint_id, actor=request.actor)
    messages.success(request, "The endpoint is deleted.")
    return redirect("governance:webhooks")


@portal_view(scopes=_WRITE, feature="webhooks")
def rotate(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Make a new secret and show it, once."""
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how long both secrets sign: 0 to 168 hours.")
        return redirect("governance:webhook", endpoint_id=endpoint_id)
    overlap = timedelta(hours=form.cleaned_data["overlap_hours"])
    made = services.rotate_webhook_secret(endpoint_id, actor=request.actor, overlap=overlap)
    return show_secret(request, made, rotated=True)


@portal_view(scopes=_WRITE, feature="webhooks")
def test(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Send an event that says nothing but that it arrives."""
    services.send_webhook_test(endpoint_id, actor=request.actor)
    messages.success(request, "A test is on its way. Load this page again to see what became of it.")
    return redirect("governance:webhook", endpoint_id=endpoint_id)


@portal_view(scopes=_WRITE, feature="webhooks")
def replay(request: "PortalRequest", endpoint_id: UUID) -> HttpResponse:
    """Send again what failed since a day."""
    try:
        since = parse_date(request.POST.get("since", ""))
    except ValueError:
        since = None
    if since is None:
        messages.error(request, "Choose the day from which failed events are sent again.")
        return redirect("governance:webhook", endpoint_id=endpoint_id)
    begin = max(datetime.combine(since, time.min, UTC), timezone.now() - timedelta(days=366))
    many = services.replay_failed_webhooks(endpoint_id, since=begin, actor=request.actor)
    messages.success(request, f"{many} failed {'event is' if many == 1 else 'events are'} sent again.")
    return redirect("governance:webhook", endpoint_id=endpoint_id)


@portal_view(scopes=_WRITE, feature="webhooks")
def redeliver(request: "PortalRequest", endpoint_id: UUID, delivery_id: UUID) -> HttpResponse:
    """Send one event again."""
    services.replay_webhook_delivery(endpoint_id, delivery_id, actor=request.actor)
    messages.success(request, "The event is sent again, under the same webhook-id.")
    return redirect("governance:webhook-delivery", endpoint_id=endpoint_id, delivery_id=delivery_id)
