"""What is done to one key from its page."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.errors import DomainError
from apps.identity.services import portal_view
from apps.keys import selectors, services
from apps.keys.gates import KEYS
from apps.keys.portal.forms import ChildForm, EditForm, RotateForm
from apps.keys.portal.views import show_secret

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest


@portal_view(scopes={"GET": "keys:write", "POST": "keys:write"}, feature=KEYS)
def edit(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """Rename a key, change its restrictions and tags."""
    key = selectors.key(key_id)
    form = EditForm(request.POST if request.method == "POST" else None, initial=EditForm.initial_of(key))
    if request.method == "POST" and form.is_valid():
        try:
            changed = services.restrict_key(key_id, actor=request.actor, **form.restrictions())
        except DomainError as refused:
            form.show(refused)
        else:
            messages.success(request, f"{changed.name} is changed. It holds from the next request on.")
            return redirect("keys:detail", key_id=key_id)
    return render(
        request,
        "keys/edit.html",
        {"key": key, "form": form, "url": reverse("keys:detail", args=[key_id])},
        status=400 if form.is_bound else 200,
    )


@portal_view(scopes={"POST": "keys:write"}, feature=KEYS)
def rotate(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """Make a successor and show its secret, once."""
    form = RotateForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how long the old key goes on working: 0 to 720 hours.")
        return redirect("keys:detail", key_id=key_id)
    issued = services.rotate_key(
        key_id, actor=request.actor, overlap=timedelta(hours=form.cleaned_data["overlap_hours"])
    )
    return show_secret(request, issued, old=selectors.key(key_id))


@portal_view(scopes={"POST": "keys:write"}, feature="child_keys")
def child(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """Make a key that is a part of this one, for an agent or a task, and show its secret, once."""
    form = ChildForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Give the child key a name, and 1 to 720 hours to live.")
        return redirect("keys:detail", key_id=key_id)
    now, parent = timezone.now(), selectors.key(key_id)
    ends = min(now + timedelta(hours=form.cleaned_data["hours"]), parent.expires_at)
    issued = services.issue_child_key(
        key_id, actor=request.actor, name=form.cleaned_data["name"], expires_at=ends, now=now
    )
    return show_secret(request, issued)


@portal_view(scopes={"POST": "keys:write"}, feature=KEYS)
def disable(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """Pause a key."""
    key = services.disable_key(key_id, actor=request.actor)
    messages.success(request, f"{key.name} is disabled. Every process refuses it from the next request on.")
    return redirect("keys:detail", key_id=key_id)


@portal_view(scopes={"POST": "keys:write"}, feature=KEYS)
def enable(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """End a pause."""
    key = services.enable_key(key_id, actor=request.actor)
    messages.success(request, f"{key.name} works again.")
    return redirect("keys:detail", key_id=key_id)


@portal_view(scopes={"POST": "keys:write"}, feature=KEYS)
def revoke(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """End a key for good, if its name was typed."""
    key = selectors.key(key_id)
    if request.POST.get("confirm", "").strip() != key.name:
        messages.error(request, f"Nothing was revoked: type {key.name} to confirm.")
        return redirect("keys:detail", key_id=key_id)
    services.revoke_key(key_id, actor=request.actor, reason="Revoked in the portal.")
    messages.success(request, f"{key.name} is revoked. Every process refuses it from the next request on.")
    return redirect("keys:detail", key_id=key_id)
