"""What every portal view of every app declares: who may enter it. A view that declares nothing is refused."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.http import HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from apps.errors import DomainError
from apps.governance.errors import ScopeMissing
from apps.governance.gates import Gate, Gates, check_gate, gate_of
from apps.identity.errors import TenantIsSuspended
from apps.tenancy.selectors import suspension_reason
from apps.tenancy.types import TenantState

View = TypeVar("View", bound=Callable[..., Any])
ACCESS = "portal_access"
GATES = "portal_gates"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def portal_view(
    *, scopes: str | Mapping[str, str], feature: Gates | None = None, while_suspended: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., HttpResponse]]:
    """Let signed-in members in whose role holds the scope of the request's method.

    `scopes="keys:read"` is a page to look at; `scopes={"GET": "keys:read", "POST": "keys:write"}` names each
    method, and a method without a scope is answered 405. Others are sent to sign-in, or shown which scope
    they lack. `feature` is the plan's feature that the page belongs to (or one for each method), or
    `EveryPlan("why")`. While the tenant is suspended nothing is written, unless the view says `while_suspended=True`
    (paying, for one). A DomainError that the view lets through becomes a page that says what happened.
    """
    declared = (
        {"GET": scopes}
        if isinstance(scopes, str)
        else {name.upper(): scope for name, scope in scopes.items()}
    )

    def decorate(view: Callable[..., Any]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
            if method not in declared:
                return HttpResponseNotAllowed(sorted(declared))
            if request.member is None:
                return _to_sign_in(request)
            try:
                _check(request, declared[method], gate_of(feature, method), while_suspended)
                response: HttpResponse = view(request, *args, **kwargs)
            except DomainError as refused:
                return refusal(request, refused)
            return response

        # Read by the tests that ask every view of the portal, and by the navigation.
        setattr(guarded, ACCESS, dict(declared))
        setattr(guarded, GATES, feature)
        return guarded

    return decorate


def open_view(why: str) -> Callable[[View], View]:
    """Mark a portal view that people enter without being signed in, and why that is right."""

    def decorate(view: View) -> View:
        setattr(view, ACCESS, why)
        return view

    return decorate


def refusal(request: Any, refused: DomainError) -> HttpResponse:
    """A refusal as a page, in the words and with the status of the error."""
    context = {
        "refusal": refused,
        "status": refused.status,
        "title": _TITLES.get(refused.status, "That did not work"),
    }
    response = render(request, "identity/refused.html", context, status=refused.status)
    if refused.retry_after is not None:
        response["Retry-After"] = str(max(1, round(refused.retry_after)))
    return response


_TITLES = {
    403: "You may not do that",
    404: "There is nothing here",
    409: "That cannot be done now",
    503: "A part of the service is away",
}


def _check(request: Any, scope: str, gate: Gate | None, while_suspended: bool) -> None:
    if scope not in request.member.scopes:
        raise ScopeMissing(scope)
    check_gate(gate)
    writes = request.method not in _SAFE
    if writes and not while_suspended and request.tenant.state is TenantState.SUSPENDED:
        raise TenantIsSuspended(suspension_reason(request.tenant.id))


def _to_sign_in(request: Any) -> HttpResponse:
    # After a write there is nothing to come back to; after a read, the page that was asked for.
    back = request.get_full_path() if request.method in _SAFE else "/"
    sign_in = reverse("account_login")
    if request.headers.get("HX-Request") == "true":
        # A redirect would put the sign-in form where a part of the page was; this loads it as a page.
        return HttpResponse(status=204, headers={"HX-Redirect": sign_in})
    return HttpResponseRedirect(f"{sign_in}?{urlencode({'next': back})}")
