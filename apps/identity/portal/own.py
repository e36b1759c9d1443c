"""What everybody may do with themselves: name, sessions."""

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.governance.gates import EveryPlan
from apps.identity import selectors, services
from apps.identity.portal.browsers import describe_session
from apps.identity.portal.forms import NameForm
from apps.identity.services import portal_view

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

# Every role holds it, so whoever is signed in may; said as a scope so that no view is without one.
_ANYBODY = "members:read"


_EVERY_PLAN = EveryPlan("everybody may look after themselves")


@portal_view(scopes=_ANYBODY, feature=_EVERY_PLAN)
def sessions(request: "PortalRequest") -> HttpResponse:
    """Where one is signed in."""
    mine = selectors.sessions_of(request.member.id, current_key=request.session.session_key)
    return render(
        request,
        "identity/sessions.html",
        {
            "sessions": [
                describe_session(session, reverse("identity:end_session", args=[session.id]))
                for session in mine
            ],
            "end_others_url": reverse("identity:end_other_sessions") if len(mine) > 1 else None,
        },
    )


@portal_view(scopes={"POST": _ANYBODY}, feature=_EVERY_PLAN, while_suspended=True)
def end_session(request: "PortalRequest", session_id: UUID) -> HttpResponse:
    """Sign out one of one's browsers."""
    if services.end_session(member_id=request.member.id, session_id=session_id, actor=request.actor):
        messages.success(request, "That browser is signed out.")
    return redirect("identity:sessions")


@portal_view(scopes={"POST": _ANYBODY}, feature=_EVERY_PLAN, while_suspended=True)
def end_other_sessions(request: "PortalRequest") -> HttpResponse:
    """Sign out all browsers but this one."""
    mine = selectors.sessions_of(request.member.id, current_key=request.session.session_key)
    for session in mine:
        if not session.is_current:
            services.end_session(member_id=request.member.id, session_id=session.id, actor=request.actor)
    messages.success(request, "Every other browser is signed out.")
    return redirect("identity:sessions")


@portal_view(scopes={"POST": _ANYBODY}, feature=_EVERY_PLAN)
def rename(request: "PortalRequest") -> HttpResponse:
    """Change one's own name."""
    form = NameForm(request.POST)
    if form.is_valid():
        services.rename_member(member_id=request.member.id, actor=request.actor, **form.cleaned_data)
        messages.success(request, "Your name is changed.")
    else:
        messages.error(request, "A name has at most 120 characters.")
    return redirect("identity:member", member_id=request.member.id)
