"""Mails about keys: to whom a key belongs, and to those who answer for everybody's."""

from typing import Any
from uuid import UUID

from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone

from apps.governance.budget_alerts import budget_alert
from apps.governance.selectors import audit_log, entitlements
from apps.identity.selectors import members
from apps.identity.types import Role
from apps.keys import selectors
from apps.keys.types import Key, KeyState, OwnerKind
from apps.tenancy.selectors import current_tenant, primary_domain


def tell_of_leak(key_id: UUID) -> None:
    """Tell the owner and the admins that a key's secret was found in public, and what we did."""
    key = selectors.key(key_id)
    reports = audit_log(action="key.leak_reported", target_id=str(key_id), limit=1)
    where = reports[0].details.get("where", "") if reports else ""
    _send(
        f"API key {key.name} was found in public",
        "leaked",
        key,
        _owner_addresses(key) | _admin_addresses(),
        where=where,
        revoked=key.state is KeyState.REVOKED,
    )


def warn_of_unused(key_id: UUID) -> None:
    """Tell the owner, or the admins where a program owns it, that a key lies around unused."""
    key, policy = selectors.key(key_id), selectors.key_policy()
    if not key.state.is_usable:
        return
    since = key.last_used_at or key.created_at
    _send(
        f"API key {key.name} is not used",
        "unused",
        key,
        _owner_addresses(key) or _admin_addresses(),
        days=(timezone.now() - since).days,
        disable_days=policy.disable_unused_days,
    )


def tell_of_budget(alert_id: UUID) -> None:
    """Tell owners, admins and billing that a budget reached a percentage, or refuses."""
    alert, tenant = budget_alert(alert_id), current_tenant()
    subject = "" if alert.subject_id is None else _name_of(alert.limit, alert.subject_id)
    reached = f"{alert.percent}%" if alert.percent else "its end"
    body = render_to_string(
        "keys/email/budget.txt",
        {
            "alert": alert,
            "subject": subject,
            "reached": reached,
            "tenant": tenant,
            "domain": primary_domain(tenant.id),
            "currency": entitlements().currency,
        },
    )
    for member in members():
        if member.is_active and member.role in (Role.OWNER, Role.ADMIN, Role.BILLING):
            send_mail(f"A budget of {tenant.name} has reached {reached}", body, None, [member.email])


def _name_of(limit: str, subject_id: UUID) -> str:
    names = selectors.key_names if limit.startswith("key.") else selectors.owner_names
    return names([subject_id]).get(subject_id, "")


def _send(subject: str, template: str, key: Key, addresses: set[str], **values: Any) -> None:
    tenant = current_tenant()
    body = render_to_string(
        f"keys/email/{template}.txt",
        {"key": key, "tenant": tenant, "domain": primary_domain(tenant.id), **values},
    )
    for address in sorted(addresses):
        # One mail each: nobody learns from it who else is a member.
        send_mail(" ".join(subject.split()), body, None, [address])


def _owner_addresses(key: Key) -> set[str]:
    if key.owner.kind is not OwnerKind.MEMBER:
        return set()
    return {member.email for member in members() if member.id == key.owner.id and member.is_active}


def _admin_addresses() -> set[str]:
    return {member.email for member in members() if member.is_active and "members:write" in member.scopes}
