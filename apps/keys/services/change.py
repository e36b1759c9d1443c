"""Changing what is written on a key, pausing it, and the rules for all of a tenant's keys."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.governance.errors import ScopeMissing
from apps.governance.services import announce_change, record_audit
from apps.governance.types import Actor
from apps.keys import describing, metrics, rights, selectors
from apps.keys.addresses import normalise_networks
from apps.keys.checking import checked_limits, checked_models, checked_name, checked_tags
from apps.keys.errors import InvalidKeySettings, KeyNotFound, KeyNotUsable
from apps.keys.models import ApiKey
from apps.keys.models import KeyPolicy as KeyPolicyRow
from apps.keys.types import Key, KeyLimits, KeyPolicy, KeyState


@transaction.atomic
def restrict_key(
    key_id: UUID,
    *,
    actor: Actor,
    name: str | None = None,
    models_allowed: Sequence[str] | None = None,
    addresses_allowed: Sequence[str] | None = None,
    limits: KeyLimits | None = None,
    tags: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Key:
    """Rename a key or change its restrictions and tags; what is not given stays. Scopes never change.

    A child stays within its parent, and a key that changes another (or itself) cannot loosen what binds it.
    """
    moment = now or timezone.now()
    who = rights.acting(actor)
    row = locked_row(key_id)
    rights.may_manage(who, row)
    if row.revoked_at is not None or row.expires_at <= moment:
        raise KeyNotUsable(describing.state(row, moment).value)
    before = _written(row)
    if name is not None:
        row.name = checked_name(name)
    if models_allowed is not None:
        row.models_allowed = checked_models(models_allowed)
    if addresses_allowed is not None:
        row.addresses_allowed = normalise_networks(addresses_allowed)
    if limits is not None:
        for field, value in asdict(checked_limits(limits)).items():
            setattr(row, field, value)
    if tags is not None:
        row.tags = checked_tags(tags)
    after = _written(row)
    changed = {field: [before[field], after[field]] for field in after if before[field] != after[field]}
    if not changed:
        return describing.describe(row, moment)
    if changed.keys() - {"name", "tags"}:
        grant = rights.Grant(
            frozenset(row.scopes), row.models_allowed, row.addresses_allowed, describing.limits(row)
        )
        for bounds in (row.parent, who.key):
            if bounds is not None:
                rights.within(grant, ApiKey.objects.get(pk=bounds.pk))
    row.save(update_fields=list(after))
    note("key.changed", row, actor, changed=changed)
    return describing.describe(row, moment)


@transaction.atomic
def disable_key(key_id: UUID, *, actor: Actor, reason: str = "", now: datetime | None = None) -> Key:
    """Pause a key, and with it its children, until it is enabled again. Doing it twice changes nothing."""
    moment = now or timezone.now()
    who = rights.acting(actor)
    row = locked_row(key_id)
    rights.may_manage(who, row)
    if row.revoked_at is not None:
        raise KeyNotUsable(KeyState.REVOKED.value)
    if row.disabled_at is None:
        row.disabled_at, row.disabled_reason = moment, reason[:200]
        row.save(update_fields=["disabled_at", "disabled_reason"])
        note("key.disabled", row, actor, reason=reason)
    return describing.describe(row, moment)


@transaction.atomic
def enable_key(key_id: UUID, *, actor: Actor, now: datetime | None = None) -> Key:
    """Let a disabled key work again. Revoked and expired keys stay ended: make or rotate another."""
    moment = now or timezone.now()
    who = rights.acting(actor)
    row = locked_row(key_id)
    rights.may_manage(who, row)
    if row.revoked_at is not None or row.expires_at <= moment:
        raise KeyNotUsable(describing.state(row, moment).value)
    if row.disabled_at is not None:
        row.disabled_at, row.disabled_reason = None, ""
        # The days without use start again; else the nightly sweep would disable it at once.
        row.warned_unused_at = None
        row.enabled_at = moment
        row.save(update_fields=["disabled_at", "disabled_reason", "warned_unused_at", "enabled_at"])
        note("key.enabled", row, actor)
    return describing.describe(row, moment)


@transaction.atomic
def set_key_policy(policy: KeyPolicy, *, actor: Actor) -> KeyPolicy:
    """Replace what the tenant asks of all its keys. A shorter maximum holds for keys made from now on."""
    if not actor.is_platform and "settings:write" not in actor.scopes:
        raise ScopeMissing("settings:write")
    if not 1 <= policy.default_days <= policy.maximum_days <= 365:
        raise InvalidKeySettings("Lifetimes are 1 to 365 days, and the default is not above the maximum.")
    for days in (policy.warn_unused_days, policy.disable_unused_days):
        if days is not None and not 1 <= days <= 3650:
            raise InvalidKeySettings("Days without use are 1 to 3650, or not set.")
    before = selectors.key_policy()
    values: dict[str, Any] = asdict(policy)
    values["addresses_allowed"] = normalise_networks(policy.addresses_allowed)
    row, _ = KeyPolicyRow.objects.update_or_create(pk=1, defaults=values)
    after = describing.policy_record(row)
    if after != before:
        record_audit(
            "key_policy.changed",
            actor=actor,
            target_kind="key_policy",
            target_id=1,
            details={"before": asdict(before), "after": asdict(after)},
        )
        announce_change()
    return after


def locked_row(key_id: UUID) -> ApiKey:
    """A key's row with its owner and parent, locked for this transaction; KeyNotFound otherwise."""
    row = ApiKey.objects.select_for_update(of=("self",)).with_context().filter(pk=key_id).first()
    if row is None:
        raise KeyNotFound
    return row


def note(action: str, row: ApiKey, actor: Actor, **details: Any) -> None:
    """The audit entry of a change to one key, its announcement and its count."""
    record_audit(
        action,
        actor=actor,
        target_kind="key",
        target_id=row.pk,
        details={"name": row.name, "key_id": row.key_id, **details},
    )
    announce_change()
    metrics.CHANGED.labels(action).inc()


def _written(row: ApiKey) -> dict[str, Any]:
    fields = ("name", "models_allowed", "addresses_allowed", "tags", *KeyLimits.__slots__)
    return {field: getattr(row, field) for field in fields}
