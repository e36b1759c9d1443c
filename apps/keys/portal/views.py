"""The list of keys, one key, and making one."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.errors import DomainError
from apps.governance import selectors as governance
from apps.identity.services import portal_view
from apps.keys import selectors, services
from apps.keys.errors import KeyAlreadyIssued
from apps.keys.gates import KEYS
from apps.keys.portal import showing
from apps.keys.portal.forms import CreateForm
from apps.keys.types import IssuedKey, Key, KeyState

if TYPE_CHECKING:
    from apps.identity.types import PortalRequest

_PAGE = 50
_MOST_SORTED = 500
_SORTS = {
    "name": lambda key: key.name.lower(),
    "last_used_at": lambda key: key.last_used_at.timestamp() if key.last_used_at else 0.0,
}


@portal_view(scopes="keys:read", feature=KEYS)
def key_list(request: "PortalRequest") -> HttpResponse:
    """Keys, newest first or by name or last use; those in use, or all."""
    now, everything = timezone.now(), request.GET.get("show") == "all"
    keys, page = _page_of_keys(request, everything)
    currency = governance.entitlements().currency
    spend = showing.spend_this_month((key.id for key in keys), now)
    return render(
        request,
        "keys/list.html",
        {
            "tabs": tabs("all" if everything else "active"),
            "keys": [showing.row(key, spend, currency, now) for key in keys],
            "any_keys": bool(keys) or bool(selectors.keys(limit=1)),
            "allowance": {"used": selectors.keys_in_use(now=now), "allowed": governance.limit("keys")},
            "create_url": reverse("keys:create") if "keys:write" in request.member.scopes else "",
            "page": page,
            "sort": request.GET.get("sort", ""),
        },
    )


@portal_view(scopes="keys:read", feature=KEYS)
def detail(request: "PortalRequest", key_id: UUID) -> HttpResponse:
    """One key: what it may do, what it did, and what can be done to it."""
    now, found = timezone.now(), selectors.key_detail(key_id)
    key = found.key
    price, currency = showing.spend_this_month([key.id], now).get(key.id, (None, ""))
    figures = (
        [{"label": "Spend this month", "amount": price, "currency": currency}] if price is not None else []
    )
    return render(
        request,
        "keys/detail.html",
        {
            "key": showing.facts(found, now),
            "limits": showing.limits(key),
            "budgets": governance.budgets(subject_id=key.id),
            "currency": governance.entitlements().currency,
            "figures": figures,
            "related": showing.related(found),
            "events": [
                showing.event(record) for record in governance.audit_log(target_id=str(key.id), limit=50)
            ],
            "can": showing.allowed(request.member, key)
            | {"child": showing.may_have_children(request.member, key)},
            "urls": _urls(key),
        },
    )


@portal_view(scopes={"GET": "keys:write", "POST": "keys:write"}, feature=KEYS)
def create(request: "PortalRequest") -> HttpResponse:
    """Make a key; the answer to POST is the one page that shows its secret."""
    policy, limit = selectors.key_policy(), governance.limit("keys")
    form = CreateForm(
        request.POST if request.method == "POST" else None, member=request.member, policy=policy
    )
    if request.method == "POST" and form.is_valid():
        try:
            issued = services.issue_key(actor=request.actor, **form.wish(timezone.now()))
        except KeyAlreadyIssued as again:
            messages.warning(request, again.message)
            return redirect("keys:detail", key_id=form.cleaned_data["attempt"])
        except DomainError as refused:
            form.show(refused)
        else:
            return show_secret(request, issued)
    full = limit is not None and selectors.keys_in_use() >= limit
    return render(
        request,
        "keys/create.html",
        {
            "form": form,
            "fieldsets": form.fieldsets(),
            "urls": {"keys": reverse("keys:list")},
            "refused": f"Your plan allows {limit} keys at a time, and all are taken."
            if full and not form.is_bound
            else "",
        },
        status=400 if form.is_bound else 200,
    )


def show_secret(request: "PortalRequest", issued: IssuedKey, *, old: Key | None = None) -> HttpResponse:
    """The one page that shows a secret. Nothing keeps it: not the session, not a message, not a cache."""
    key = issued.key
    model = key.models_allowed[0] if key.models_allowed else _first_model()
    calls = "inference:write" in key.scopes
    page = render(
        request,
        "keys/created.html",
        {
            "key": {"name": key.name, "url": reverse("keys:detail", args=[key.id]), "hint": key.hint},
            "secret": issued.secret,
            "rotated": old is not None,
            "old_until": old.expires_at if old else None,
            "snippets": showing.snippets(request.build_absolute_uri("/")[:-1], issued.secret, model)
            if calls
            else [],
        },
    )
    page.headers["Cache-Control"] = "no-store"
    return page


def tabs(current: str) -> list[dict[str, Any]]:
    """The pages about keys."""
    listed = reverse("keys:list")
    places = [
        ("active", "In use", listed),
        ("all", "All", f"{listed}?show=all"),
        ("accounts", "Service accounts", reverse("keys:service-accounts")),
        ("rules", "Rules", reverse("keys:rules")),
    ]
    return [{"label": label, "url": url, "current": name == current} for name, label, url in places]


def _page_of_keys(request: "PortalRequest", everything: bool) -> tuple[list[Key], dict[str, Any]]:
    sort = request.GET.get("sort", "")
    by = _SORTS.get(sort.removeprefix("-"))
    if by is not None:
        # By name or use there is no stable position to go on from; so many keys on one page are still read
        # easily.
        keys = selectors.keys(limit=_MOST_SORTED, only_living=not everything)
        return sorted(keys, key=by, reverse=sort.startswith("-")), {}
    cursor = request.GET.get("cursor", "")
    try:
        before = UUID(cursor) if cursor else None
    except ValueError:
        before = None
    keys = selectors.keys(before=before, limit=_PAGE + 1, only_living=not everything)
    more = len(keys) > _PAGE
    return keys[:_PAGE], {"next_cursor": keys[_PAGE - 1].id} if more else {}


def _urls(key: Key) -> dict[str, str]:
    urls = {
        "keys": reverse("keys:list"),
        "calls": f"/calls/?key={key.id}",
        "budgets": f"{reverse('governance:budgets')}?key={key.id}",
        "child": reverse("keys:child", args=[key.id]),
    }
    actions = ["edit", "rotate", "revoke", "enable" if key.state is KeyState.DISABLED else "disable"]
    return urls | {action: reverse(f"keys:{action}", args=[key.id]) for action in actions}


def _first_model() -> str:
    models = [model for model in governance.entitlements().models if model != "*"]
    return models[0] if models else "gpt-4o-mini"
