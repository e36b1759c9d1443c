"""Who makes this request: its member and actor for views, audit and logs."""

import re
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.governance.types import Actor, ActorKind
from apps.identity import selectors
from apps.identity.addresses import client_address
from apps.identity.models import User
from apps.identity.types import Member

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


class CurrentMember:
    """Sets `request.member` and `request.actor`, `request.request_id` and `request.address`, and the log's
    context.

    On a tenant's host the session names a member; on the operator's host an operator; on a host that belongs
    to no tenant nobody is signed in, whatever cookies come along. The API is left alone: there the key names
    the actor.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        told: Any = request
        told.request_id = request_id = _request_id(request)
        told.address = client_address(request)
        told.member = told.actor = None
        by_session = not request.path.startswith(("/api/", "/health/", "/metrics"))
        if settings.LOCKSTEP_PLANE != "control" and getattr(request, "tenant", None) is None:
            # The operators' sessions are out of this plane's reach, so there is no user to look for.
            told.user = AnonymousUser()
        elif by_session:
            _describe_browser(request)
            _name(request)
        with structlog.contextvars.bound_contextvars(
            request_id=request_id, **({"actor": told.actor.id} if told.actor else {})
        ):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response


def _request_id(request: HttpRequest) -> str:
    # Only a proxy of ours may say how a request is called in our logs.
    given = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXY_COUNT else ""
    return given if _REQUEST_ID.match(given) else str(uuid7())


def _describe_browser(request: Any) -> None:
    request.session.address = request.address
    request.session.agent = request.headers.get("User-Agent", "")


def _name(request: Any) -> None:
    user = request.user
    if not isinstance(user, User):
        return
    if getattr(request, "tenant", None) is None:
        request.actor = operator_actor(user, request)
        return
    member = selectors.describe(user)
    request.member = member
    request.actor = member_actor(member, request)
    request.session.note_seen(timezone.now())


def member_actor(member: Member, request: Any) -> Actor:
    """The member as the one who acts, from this request's address."""
    return Actor(
        kind=ActorKind.MEMBER,
        id=str(member.id),
        name=member.label,
        address=getattr(request, "address", "") or client_address(request),
        request_id=getattr(request, "request_id", ""),
        scopes=member.scopes,
    )


def operator_actor(user: User, request: Any) -> Actor:
    """The operator as the one who acts, from this request's address."""
    return Actor(
        kind=ActorKind.OPERATOR,
        id=str(user.pk),
        name=str(user),
        address=getattr(request, "address", "") or client_address(request),
        request_id=getattr(request, "request_id", ""),
    )
