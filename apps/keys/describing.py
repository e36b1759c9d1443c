"""Rows as the values that others hold: which state a key is in, and what is shown of it."""

from datetime import datetime

from apps.keys.models import ApiKey
from apps.keys.models import KeyPolicy as KeyPolicyRow
from apps.keys.models import ServiceAccount as ServiceAccountRow
from apps.keys.types import (
    Environment,
    Key,
    KeyLimits,
    KeyLink,
    KeyPolicy,
    KeyState,
    Owner,
    OwnerKind,
    ServiceAccount,
)
from apps.tenancy.selectors import current_tenant


def state(row: ApiKey, at: datetime) -> KeyState:
    """Where a key is in its life at a moment. The row comes with its owner and parent (`with_context`)."""
    parent = row.parent
    if row.revoked_at:
        return KeyState.REVOKED
    if row.expires_at <= at:
        return KeyState.EXPIRED
    if row.disabled_at:
        return KeyState.DISABLED
    if not owner_is_active(row):
        return KeyState.OWNER_INACTIVE
    if parent and (parent.revoked_at or parent.disabled_at or parent.expires_at <= at):
        return KeyState.PARENT_INACTIVE
    return KeyState.DEPRECATED if row.replaced_by_id else KeyState.ACTIVE


def owner_is_active(row: ApiKey) -> bool:
    """Whether the member or service account that a key acts for may still act."""
    if row.member is not None:
        return row.member.is_active
    return row.service_account is not None and row.service_account.disabled_at is None


def owner(row: ApiKey) -> Owner:
    """Whom a key acts for."""
    if row.member is not None:
        return Owner(kind=OwnerKind.MEMBER, id=row.member.pk, name=str(row.member))
    account = row.service_account
    assert account is not None  # the constraint keys_apikey_one_owner
    return Owner(kind=OwnerKind.SERVICE_ACCOUNT, id=account.pk, name=account.name)


def limits(row: ApiKey) -> KeyLimits:
    """A key's own limits."""
    return KeyLimits(
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrent_calls=row.concurrent_calls,
        shadow_limits=row.shadow_limits,
    )


def describe(row: ApiKey, at: datetime) -> Key:
    """A key as shown at a moment. Costs no query for a row that came `with_context`."""
    return Key(
        id=row.pk,
        name=row.name,
        key_id=row.key_id,
        hint=f"lk_{row.environment}_{current_tenant().ref}_{row.key_id}",
        environment=Environment(row.environment),
        state=state(row, at),
        owner=owner(row),
        scopes=tuple(sorted(row.scopes)),
        models_allowed=tuple(row.models_allowed),
        addresses_allowed=tuple(row.addresses_allowed),
        tags=dict(row.tags),
        limits=limits(row),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoked_reason=row.revoked_reason,
        disabled_reason=row.disabled_reason,
        last_used_at=row.last_used_at,
        last_used_address=row.last_used_address,
        last_used_agent=row.last_used_agent,
        parent_id=row.parent_id,
        replaced_by_id=row.replaced_by_id,
    )


def link(row: ApiKey, at: datetime) -> KeyLink:
    """A key as others refer to it."""
    return KeyLink(
        id=row.pk,
        name=row.name,
        key_id=row.key_id,
        state=state(row, at),
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def account_record(row: ServiceAccountRow) -> ServiceAccount:
    """A service account as shown; the row comes annotated with `usable_keys`, or has none."""
    return ServiceAccount(
        id=row.pk,
        name=row.name,
        description=row.description,
        is_active=row.disabled_at is None,
        disabled_at=row.disabled_at,
        created_at=row.created_at,
        usable_keys=getattr(row, "usable_keys", 0),
    )


def policy_record(row: KeyPolicyRow | None) -> KeyPolicy:
    """The tenant's key policy, or the defaults where it set none."""
    if row is None:
        return KeyPolicy()
    return KeyPolicy(
        default_days=row.default_days,
        maximum_days=row.maximum_days,
        warn_unused_days=row.warn_unused_days,
        disable_unused_days=row.disable_unused_days,
        revoke_on_leak=row.revoke_on_leak,
        addresses_allowed=tuple(row.addresses_allowed),
    )
