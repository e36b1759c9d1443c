"""Keys as the pages draw them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.module_loading import import_string

from apps.governance.gates import may
from apps.governance.types import AuditRecord
from apps.identity.types import Member
from apps.keys.types import Key, KeyDetail, KeyLink, KeyState, OwnerKind

_SOON = timedelta(days=7)
_LIMITS = {
    "requests_per_minute": "Requests a minute",
    "tokens_per_minute": "Tokens a minute",
    "concurrent_calls": "Calls at once",
}
_WHAT = {
    "key.issued": "Created",
    "key.rotated_in": "Created by rotation",
    "key.rotated": "Rotated",
    "key.changed": "Changed",
    "key.disabled": "Disabled",
    "key.enabled": "Enabled",
    "key.revoked": "Revoked",
    "key.leak_reported": "Reported found in public",
}

Spend = Mapping[UUID, tuple[Decimal, str]]


def spend_this_month(ids: Iterable[UUID], now: datetime) -> Spend:
    """What the keys were charged since the month began (UTC); nothing where KEY_SPEND names no ledger."""
    if not settings.KEY_SPEND:
        return {}
    since = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found: Spend = import_string(settings.KEY_SPEND)(list(ids), since=since)
    return found


def row(key: Key, spend: Spend, currency: str, now: datetime) -> dict[str, Any]:
    """One line of the list."""
    price, unit = spend.get(key.id, (Decimal(0), currency))
    return {
        "url": reverse("keys:detail", args=[key.id]),
        "name": key.name,
        "hint": shortened(key.hint),
        "owner": key.owner.name,
        "environment": key.environment.value,
        "status": status(key, now),
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "price": price,
        "currency": unit,
        "created_at": key.created_at,
    }


def status(key: Key, now: datetime) -> str:
    """The state in one word, with one more: that a key in use is about to end."""
    if key.state is KeyState.ACTIVE and key.expires_at - now < _SOON:
        return "expiring"
    return key.state.value


def shortened(hint: str) -> str:
    """`lk_live_…8amPs1ZN`: the tenant is the same on every line."""
    prefix, environment, _, key_id = hint.split("_", 3)
    return f"{prefix}_{environment}_…{key_id[-8:]}"


def facts(found: KeyDetail, now: datetime) -> dict[str, Any]:
    """One key for its page."""
    key = found.key
    # Once the key has ended the successor is among the related keys; the notice is for while both work.
    successor = found.replaced_by if key.state is KeyState.DEPRECATED else None
    return {
        "name": key.name,
        "hint": key.hint,
        "key_id": key.key_id,
        "environment": key.environment.value,
        "status": status(key, now).replace("_", " "),
        "owner": f"{key.owner.name} (service account)"
        if key.owner.kind is OwnerKind.SERVICE_ACCOUNT
        else key.owner.name,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "last_used_at": key.last_used_at,
        "last_used_from": " · ".join(part for part in (key.last_used_address, key.last_used_agent) if part),
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "scopes": key.scopes,
        "models": key.models_allowed,
        "networks": key.addresses_allowed,
        "tags": [f"{name}={value}" for name, value in key.tags.items()],
        "successor": {"name": successor.name, "url": reverse("keys:detail", args=[successor.id])}
        if successor
        else None,
        "works_until": key.expires_at,
    }


def may_have_children(member: Member, key: Key) -> bool:
    """Whether this member may make a part of this key: it receives a secret that acts for the owner."""
    own = key.owner.kind is OwnerKind.SERVICE_ACCOUNT or key.owner.id == member.id
    return (
        "keys:write" in member.scopes
        and own
        and key.parent_id is None
        and key.state is KeyState.ACTIVE
        and may("child_keys").allowed
    )


def limits(key: Key) -> list[dict[str, Any]]:
    """The key's own limits, ready to read."""
    tried = " (only tried out)" if key.limits.shadow_limits else ""
    return [
        {"term": words, "value": f"{value:,}{tried}"}
        for name, words in _LIMITS.items()
        if (value := getattr(key.limits, name)) is not None
    ]


def related(found: KeyDetail) -> list[dict[str, Any]]:
    """The keys around this one, each with its last use: who still uses the old one after a rotation?"""
    links: list[tuple[str, KeyLink]] = [("Replaces", link) for link in found.replaces]
    links += [("Replaced by", found.replaced_by)] if found.replaced_by else []
    links += [("Part of", found.parent)] if found.parent else []
    links += [("Child", link) for link in found.children]
    return [
        {
            "relation": relation,
            "name": link.name,
            "url": reverse("keys:detail", args=[link.id]),
            "status": link.state.value,
            "last_used_at": link.last_used_at,
        }
        for relation, link in links
    ]


def event(record: AuditRecord) -> dict[str, Any]:
    """One line of the key's history."""
    what = _WHAT.get(record.action, record.action)
    changed, reason = (
        record.details.get("changed"),
        record.details.get("reason") or record.details.get("where"),
    )
    if changed:
        what = f"{what}: {', '.join(sorted(name.replace('_', ' ') for name in changed))}"
    if reason:
        what = f"{what}: {reason}"
    return {"at": record.at, "actor": record.actor_name or record.actor_kind, "what": what}


def allowed(member: Member, key: Key) -> dict[str, bool]:
    """Which buttons to show. The services decide again, and know more."""
    writes = "keys:write" in member.scopes
    own = key.owner.kind is OwnerKind.SERVICE_ACCOUNT or key.owner.id == member.id
    living = key.state not in (KeyState.REVOKED, KeyState.EXPIRED)
    manages = writes and living and (own or "members:write" in member.scopes)
    holds = set(key.scopes) <= member.scopes
    return {
        "rename": manages,
        "rotate": writes and own and holds and key.state is KeyState.ACTIVE,
        "disable": manages,
        "revoke": manages,
    }


def snippets(base_url: str, secret: str, model: str) -> list[dict[str, str]]:
    """The first call with the new key, to paste."""
    return [
        {
            "name": "snippet-curl",
            "label": "curl",
            "language": "shell",
            "code": f"curl {base_url}/v1/chat/completions \\\n"
            f'  -H "Authorization: Bearer {secret}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            f'  -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}\'',
        },
        {
            "name": "snippet-openai",
            "label": "OpenAI SDK for Python",
            "language": "python",
            "code": "from openai import OpenAI\n\n"
            f'client = OpenAI(base_url="{base_url}/v1", api_key="{secret}")\n'
            "answer = client.chat.completions.create(\n"
            f'    model="{model}", messages=[{{"role": "user", "content": "Hello"}}]\n)\n'
            "print(answer.choices[0].message.content)",
        },
    ]
