"""Members: who is in this tenant, as what, and how somebody is let in or shut out."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from apps.errors import DomainError
from apps.governance import selectors as entitled
from apps.governance.gates import EveryPlan
from apps.identity import selectors, services
from apps.identity.portal.browsers import describe_session
from apps.identity.portal.forms import InviteForm, NameForm, RoleForm
from apps.identity.roles import PURPOSE, Role, grantable_roles, scopes_of
from apps.identity.services import portal_view
from apps.identity.types import Member
from apps.tenancy.types import TenantState

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_SORTS = {
    "name": lambda member: member.label.lower(),
    "last_seen_at": lambda member: member.last_login.timestamp() if member.last_login else 0.0,
}


_EVERY_PLAN = EveryPlan(
    "a tenant without people has nobody to call or to pay; how many there may be is a limit"
)


@portal_view(scopes={"GET": "members:read", "POST": "members:write"}, feature=_EVERY_PLAN)
def member_list(request: "PortalRequest") -> HttpResponse:
    """Everybody; POST invites."""
    form = None
    if _may_write(request):
        roles = grantable_roles(request.member.scopes)
        form = InviteForm(request.POST if request.method == "POST" else None, roles=roles)
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            invitation = services.invite_member(
                **form.cleaned_data, actor=request.actor, base_url=request.build_absolute_uri("/")
            )
        except DomainError as refused:
            form.add_error(None, refused.message)
        else:
            return render(request, "identity/invited.html", {"invitation": invitation})
    return render(
        request, "identity/members.html", _list(request, form), status=400 if _failed(form) else 200
    )


@portal_view(scopes={"GET": "members:read", "POST": "members:write"}, feature=_EVERY_PLAN)
def member_detail(request: "PortalRequest", member_id: UUID) -> HttpResponse:
    """One member; POST gives another role."""
    member = selectors.member(member_id)
    changeable = _may_write(request) and _may_change(request.member, member)
    form = None
    if changeable:
        form = RoleForm(
            request.POST if request.method == "POST" else None,
            roles=grantable_roles(request.member.scopes),
            initial={"role": member.role},
        )
    if request.method == "POST" and (form is None or form.is_valid()):
        # The service refuses who may not, in words; asking it keeps one place that decides.
        role = form.cleaned_data["role"] if form else member.role
        services.change_role(member_id=member_id, role=role, actor=request.actor)
        messages.success(request, f"{member.label} is {Role(role).label.lower()} now.")
        return redirect("identity:member", member_id=member_id)
    return render(
        request,
        "identity/member.html",
        {"person": member, "form": form, "changeable": changeable, **_about(request, member)},
        status=400 if _failed(form) else 200,
    )


@portal_view(scopes={"POST": "members:write"}, feature=_EVERY_PLAN)
def deactivate(request: "PortalRequest", member_id: UUID) -> HttpResponse:
    """Shut somebody out."""
    gone = services.deactivate_member(member_id=member_id, actor=request.actor)
    messages.success(request, f"{gone.label} is signed out, and their keys no longer work.")
    return redirect("identity:members")


@portal_view(scopes={"POST": "members:write"}, feature=_EVERY_PLAN)
def reactivate(request: "PortalRequest", member_id: UUID) -> HttpResponse:
    """Let somebody in again."""
    back = services.reactivate_member(member_id=member_id, actor=request.actor)
    messages.success(request, f"{back.label} can sign in again.")
    return redirect("identity:member", member_id=member_id)


@portal_view(scopes={"POST": "members:write"}, feature=_EVERY_PLAN)
def invite_again(request: "PortalRequest", member_id: UUID) -> HttpResponse:
    """A new link for an invited person."""
    invitation = services.invite_again(
        member_id=member_id, actor=request.actor, base_url=request.build_absolute_uri("/")
    )
    return render(request, "identity/invited.html", {"invitation": invitation})


@portal_view(scopes={"POST": "members:write"}, feature=_EVERY_PLAN)
def end_members_sessions(request: "PortalRequest", member_id: UUID) -> HttpResponse:
    """Sign somebody out everywhere."""
    services.end_sessions(member_id=member_id, actor=request.actor)
    messages.success(request, "Signed out everywhere.")
    return redirect("identity:member", member_id=member_id)


def _list(request: "PortalRequest", form: InviteForm | None) -> dict[str, Any]:
    sort = request.GET.get("sort", "")
    everybody = selectors.members()
    if sort.lstrip("-") in _SORTS:
        everybody.sort(key=_SORTS[sort.lstrip("-")], reverse=sort.startswith("-"))
    return {
        "members": [_row(request, member) for member in everybody],
        "seats": {
            "used": sum(member.is_active for member in everybody),
            "allowed": entitled.limit("members"),
        },
        "invite_form": form,
        "invite_url": reverse("identity:members"),
        "sort": sort,
    }


def _row(request: "PortalRequest", member: Member) -> dict[str, Any]:
    is_you = member.id == request.member.id
    removable = (
        member.is_active and not is_you and _may_write(request) and _may_change(request.member, member)
    )
    return {
        "id": str(member.id),
        "name": member.name,
        "email": member.email,
        "role": member.role.label,
        "status": member.state,
        "last_seen_at": member.last_login,
        "joined_at": member.created_at,
        "is_you": is_you,
        "url": reverse("identity:member", args=[member.id]),
        "remove_url": reverse("identity:deactivate", args=[member.id]) if removable else None,
    }


def _about(request: "PortalRequest", member: Member) -> dict[str, Any]:
    return {
        "purpose": PURPOSE[member.role],
        "is_you": member.id == request.member.id,
        "name_form": NameForm(initial={"name": member.name}) if member.id == request.member.id else None,
        "sessions": [describe_session(session) for session in selectors.sessions_of(member.id)]
        if _may_change(request.member, member)
        else None,
    }


def _may_write(request: "PortalRequest") -> bool:
    """Whether there is anything to offer: the guard would refuse it of a suspended tenant."""
    return "members:write" in request.member.scopes and request.tenant.state is not TenantState.SUSPENDED


def _may_change(actor: Member, member: Member) -> bool:
    return "members:write" in actor.scopes and scopes_of(member.role) <= actor.scopes


def _failed(form: Any) -> bool:
    return form is not None and bool(form.errors)
