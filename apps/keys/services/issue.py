"""Making keys."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.governance import services as governance
from apps.governance.features import features_of_scopes
from apps.governance.services import announce_change, record_audit
from apps.governance.types import Actor
from apps.identity.selectors import member as identity_member
from apps.keys import metrics, rights, selectors, tokens
from apps.keys.addresses import normalise_networks
from apps.keys.checking import checked_expiry, checked_limits, checked_models, checked_name, checked_tags
from apps.keys.describing import describe
from apps.keys.describing import limits as limits_on
from apps.keys.errors import (
    ChildLimitReached,
    InvalidKeySettings,
    KeyAlreadyIssued,
    KeyLimitReached,
    KeyNotFound,
    KeyNotUsable,
    ServiceAccountDisabled,
    ServiceAccountNotFound,
    WiderThanParent,
)
from apps.keys.models import ApiKey, ServiceAccount
from apps.keys.types import Environment, IssuedKey, KeyLimits, KeyState
from apps.tenancy import services as tenancy
from apps.tenancy.selectors import current_tenant

MOST_CHILDREN = 100
CHILD_LIFETIME = timedelta(hours=1)
_NO_LIMITS = KeyLimits()


@transaction.atomic
def issue_key(
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[str] | frozenset[str] | set[str],
    environment: str = Environment.LIVE,
    member_id: UUID | None = None,
    service_account_id: UUID | None = None,
    expires_at: datetime | None = None,
    models_allowed: Sequence[str] = (),
    addresses_allowed: Sequence[str] = (),
    limits: KeyLimits = _NO_LIMITS,
    tags: Mapping[str, str] | None = None,
    id: UUID | None = None,
    now: datetime | None = None,
) -> IssuedKey:
    """Create a key and return its secret, which nobody can read again.

    Without an owner the key is the actor's own: the member's, or that of whoever owns the key that acts.
    Without an expiry it lives as long as the tenant's default says. `id` makes a repeated form harmless: the
    second use is KeyAlreadyIssued.
    """
    moment = now or timezone.now()
    who = rights.acting(actor)
    if member_id is None and service_account_id is None:
        member_id, service_account_id = who.member_id, who.service_account_id
    grant = _grant(scopes, models_allowed, addresses_allowed, limits)
    rights.may_receive(
        who, grant, environment=environment, member_id=member_id, service_account_id=service_account_id
    )
    _check_owner(member_id, service_account_id)
    _check_plan(grant.scopes, ("service_accounts",) if service_account_id else ())

    tenancy.lock_tenant("keys")  # so that two requests cannot both take the last place
    if id is not None and ApiKey.objects.filter(pk=id).exists():
        raise KeyAlreadyIssued
    room = governance.may("keys", used=ApiKey.objects.counted(moment).count(), adding=1)
    if not room.allowed:
        raise KeyLimitReached(int(room.value or 0))
    return create(
        actor=actor,
        name=name,
        grant=grant,
        issuer_scopes=who.scopes,
        environment=environment,
        member_id=member_id,
        service_account_id=service_account_id,
        expires_at=checked_expiry(expires_at, policy=selectors.key_policy(), now=moment),
        tags=tags or {},
        id=id,
        now=moment,
    )


@transaction.atomic
def issue_child_key(
    key_id: UUID,
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[str] | frozenset[str] | set[str] | None = None,
    expires_at: datetime | None = None,
    models_allowed: Sequence[str] | None = None,
    addresses_allowed: Sequence[str] | None = None,
    limits: KeyLimits | None = None,
    tags: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> IssuedKey:
    """Create a key that is a part of another one, for an agent or a single task, and return its secret.

    What is not said is taken from the parent, except the right to write keys, which no child has. It lives an
    hour unless told otherwise, never longer than its parent, and ends with it.
    """
    moment = now or timezone.now()
    who = rights.acting(actor)
    tenancy.lock_tenant("keys")
    parent = usable_row(key_id, moment)
    grant = _grant(
        frozenset(parent.scopes) - rights.NOT_FOR_CHILDREN if scopes is None else scopes,
        parent.models_allowed if models_allowed is None else models_allowed,
        parent.addresses_allowed if addresses_allowed is None else addresses_allowed,
        limits or limits_on(parent),
    )
    rights.may_be_child(grant, parent)
    _check_plan(grant.scopes if scopes is not None else frozenset(), ("child_keys",))
    rights.may_receive(
        who,
        grant,
        environment=parent.environment,
        member_id=parent.member_id,
        service_account_id=parent.service_account_id,
    )
    ends = expires_at or min(moment + CHILD_LIFETIME, parent.expires_at)
    if ends <= moment:
        raise InvalidKeySettings("A key expires in the future.")
    if ends > parent.expires_at:
        raise WiderThanParent(f"it may live until {parent.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    if ApiKey.objects.living(moment).filter(parent=parent).count() >= MOST_CHILDREN:
        raise ChildLimitReached(MOST_CHILDREN)
    return create(
        actor=actor,
        name=name,
        grant=grant,
        issuer_scopes=who.scopes & frozenset(parent.scopes),
        environment=parent.environment,
        member_id=parent.member_id,
        service_account_id=parent.service_account_id,
        expires_at=ends,
        tags=dict(parent.tags) if tags is None else tags,
        parent=parent,
        now=moment,
    )


def create(
    *,
    actor: Actor,
    name: str,
    grant: rights.Grant,
    issuer_scopes: frozenset[str],
    environment: str,
    member_id: UUID | None,
    service_account_id: UUID | None,
    expires_at: datetime,
    tags: Mapping[str, str],
    now: datetime,
    parent: ApiKey | None = None,
    id: UUID | None = None,
    action: str = "key.issued",
) -> IssuedKey:
    """Write a key whose rightfulness was decided, with its audit entry and announcement."""
    secret = tokens.generate(tenant_ref=current_tenant().ref, environment=Environment(environment))
    row = ApiKey.objects.create(
        id=id or uuid7(),
        name=checked_name(name),
        environment=environment,
        key_id=secret.key_id,
        digest=secret.digest,
        pepper_id=secret.pepper_id,
        member_id=member_id,
        service_account_id=service_account_id,
        parent=parent,
        scopes=sorted(grant.scopes),
        issuer_scopes=sorted(issuer_scopes),
        models_allowed=list(grant.models_allowed),
        addresses_allowed=list(grant.addresses_allowed),
        requests_per_minute=grant.limits.requests_per_minute,
        tokens_per_minute=grant.limits.tokens_per_minute,
        concurrent_calls=grant.limits.concurrent_calls,
        shadow_limits=grant.limits.shadow_limits,
        tags=checked_tags(tags),
        created_at=now,
        created_by=actor.name[:200],
        expires_at=expires_at,
    )
    record_audit(
        action,
        actor=actor,
        target_kind="key",
        target_id=row.pk,
        details={
            "name": row.name,
            "key_id": row.key_id,
            "environment": row.environment,
            "scopes": row.scopes,
            "expires_at": expires_at,
            "member": member_id,
            "service_account": service_account_id,
            "parent": parent.pk if parent else None,
        },
    )
    announce_change()
    metrics.CHANGED.labels(action).inc()
    whole = ApiKey.objects.with_context().get(pk=row.pk)
    return IssuedKey(key=describe(whole, now), secret=secret.plaintext)


def usable_row(key_id: UUID, at: datetime) -> ApiKey:
    """A key's row, locked for this transaction; KeyNotFound, or KeyNotUsable where it is past use."""
    row = ApiKey.objects.select_for_update(of=("self",)).with_context().filter(pk=key_id).first()
    if row is None:
        raise KeyNotFound
    state = describe(row, at).state
    if state is not KeyState.ACTIVE:
        raise KeyNotUsable(state.value.replace("_", " "))
    return row


def _check_plan(scopes: frozenset[str], gates: tuple[str, ...]) -> None:
    """Refuse a key that the plan leaves no use for. It is asked again on each use, since plans change."""
    for gate in (*gates, *(feature.name for feature in features_of_scopes(scopes))):
        governance.check_gate(gate)


def _grant(
    scopes: Sequence[str] | frozenset[str] | set[str],
    models_allowed: Sequence[str],
    addresses_allowed: Sequence[str],
    limits: KeyLimits,
) -> rights.Grant:
    grant = rights.Grant(
        scopes=frozenset(scopes),
        models_allowed=checked_models(models_allowed),
        addresses_allowed=normalise_networks(addresses_allowed),
        limits=checked_limits(replace(limits)),
    )
    if not grant.scopes:
        raise InvalidKeySettings("A key has at least one scope; without any it could do nothing.")
    return grant


def _check_owner(member_id: UUID | None, service_account_id: UUID | None) -> None:
    if member_id is not None and service_account_id is None:
        identity_member(member_id)
    elif service_account_id is not None and member_id is None:
        account = ServiceAccount.objects.filter(pk=service_account_id).first()
        if account is None:
            raise ServiceAccountNotFound
        if account.disabled_at is not None:
            raise ServiceAccountDisabled
    else:
        raise InvalidKeySettings("A key belongs to one member or to one service account.")
