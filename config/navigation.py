"""The portal's side navigation: which rooms there are, and what one must hold to see each."""

from typing import Any

from django.urls import NoReverseMatch, resolve, reverse

from apps.governance.gates import gate_of, may
from apps.governance.types import Entitlements
from apps.identity.access import GATES
from apps.identity.types import Member

# Group → (label, URL name, icon, scope). The order is the order on the page.
ROOMS: dict[str, list[tuple[str, str, str, str]]] = {
    "": [
        ("Overview", "ai_usage:overview", "overview", "usage:read"),
        ("Usage", "ai_usage:usage", "usage", "usage:read"),
        ("Calls", "ai_usage:calls", "calls", "calls:read"),
    ],
    "Access": [
        ("API keys", "keys:list", "keys", "keys:read"),
        ("Members", "identity:members", "members", "members:read"),
    ],
    "Governance": [
        ("Budgets", "governance:budgets", "budget", "settings:read"),
        ("Policies", "governance:policies", "policies", "settings:read"),
        ("Audit log", "governance:audit", "audit", "audit:read"),
        ("Webhooks", "governance:webhooks", "webhooks", "webhooks:read"),
        ("Answer cache", "governance:answer-cache", "rotate", "settings:read"),
        ("Data boundary", "governance:data-boundary", "shield", "settings:read"),
        ("Prompts", "governance:prompts", "prompts", "prompts:read"),
    ],
    "Money": [
        ("Invoices", "billing:invoices", "invoices", "invoices:read"),
        ("Plan", "governance:plan", "check", "settings:read"),
    ],
}


def navigation(member: Member, path: str, entitled: Entitlements) -> list[dict[str, Any]]:
    """The rooms that this member may enter and the plan includes; the one that `path` is in is marked."""
    groups = []
    for label, rooms in ROOMS.items():
        entries = [
            {"label": name, "url": url, "icon": icon, "current": _is_in(path, url)}
            for name, url_name, icon, scope in rooms
            if scope in member.scopes and (url := _url(url_name)) and _is_included(url, entitled)
        ]
        if entries:
            groups.append({"label": label, "entries": entries})
    return groups


def _is_in(path: str, url: str) -> bool:
    return path == url if url == "/" else path.startswith(url)


def _is_included(url: str, entitled: Entitlements) -> bool:
    gate = gate_of(getattr(resolve(url, "config.urls.tenant").func, GATES, None), "GET")
    return not isinstance(gate, str) or may(gate, entitlements=entitled).allowed


def _url(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
