"""Service accounts, and the rules for all keys."""

from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.errors import DomainError
from apps.identity.services import portal_view
from apps.keys import selectors, services
from apps.keys.gates import KEYS
from apps.keys.portal.forms import RulesForm, ServiceAccountForm
from apps.keys.portal.views import tabs

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest


@portal_view(
    scopes={"GET": "keys:read", "POST": "keys:write"}, feature={"GET": KEYS, "POST": "service_accounts"}
)
def service_accounts(request: "PortalRequest") -> HttpResponse:
    """Programs that own keys; POST makes one."""
    form = ServiceAccountForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_service_account(actor=request.actor, **form.cleaned_data)
        except DomainError as refused:
            form.show(refused)
        else:
            messages.success(request, f"{made.name} can own keys now. Choose it as the owner of a new key.")
            return redirect("keys:service-accounts")
    may_write = "keys:write" in request.member.scopes
    return render(
        request,
        "keys/service_accounts.html",
        {
            "tabs": tabs("accounts"),
            "accounts": selectors.service_accounts(limit=500),
            "form": form if may_write else None,
        },
        status=400 if form.is_bound else 200,
    )


@portal_view(scopes={"POST": "keys:write"}, feature=KEYS)
def disable_account(request: "PortalRequest", account_id: UUID) -> HttpResponse:
    """Refuse all its keys."""
    account = services.disable_service_account(account_id, actor=request.actor)
    messages.success(request, f"{account.name} is disabled: its keys are refused from the next request on.")
    return redirect("keys:service-accounts")


@portal_view(scopes={"POST": "keys:write"}, feature="service_accounts")
def enable_account(request: "PortalRequest", account_id: UUID) -> HttpResponse:
    """Let its keys work again."""
    account = services.enable_service_account(account_id, actor=request.actor)
    messages.success(request, f"{account.name} is enabled.")
    return redirect("keys:service-accounts")


@portal_view(scopes={"GET": "settings:read", "POST": "settings:write"}, feature=KEYS)
def rules(request: "PortalRequest") -> HttpResponse:
    """What the tenant asks of all its keys."""
    policy = selectors.key_policy()
    initial = asdict(policy) | {"addresses_allowed": "\n".join(policy.addresses_allowed)}
    form = RulesForm(request.POST if request.method == "POST" else None, initial=initial)
    may_write = "settings:write" in request.member.scopes
    if not may_write:
        for field in form.fields.values():
            field.disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            services.set_key_policy(form.policy(), actor=request.actor)
        except DomainError as refused:
            form.show(refused)
        else:
            messages.success(request, "The rules are changed. They hold from the next request on.")
            return redirect("keys:rules")
    return render(
        request,
        "keys/rules.html",
        {"tabs": tabs("rules"), "form": form, "may_write": may_write},
        status=400 if form.is_bound else 200,
    )
