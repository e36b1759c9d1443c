"""Who may do what with which key. Scopes open the door; these rules say which keys stand behind it.

Two ideas carry them. *Managing* a key (rename, restrict, disable, revoke) is for its owner, for whoever may
write keys where a service account owns it, and for whoever may remove members. *Receiving a secret* (issue,
rotate, make a child) is speaking for the key's owner from then on: only for oneself or a service account, and
never with more than one holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.governance.errors import ScopeMissing
from apps.governance.types import Actor, ActorKind
from apps.keys.addresses import parse_network
from apps.keys.errors import (
    KeyNotFound,
    NotYourKey,
    ScopeNotHeld,
    UnknownScope,
    WiderThanParent,
    WrongEnvironment,
)
from apps.keys.models import ApiKey
from apps.keys.types import KEY_SCOPES, LIMIT_NAMES, Environment, KeyLimits

# A child that could write keys would make some that outlive its parent.
NOT_FOR_CHILDREN = frozenset({"keys:write"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new secret would be able to do."""

    scopes: frozenset[str]
    models_allowed: Sequence[str]
    addresses_allowed: Sequence[str]
    limits: KeyLimits


@dataclass(frozen=True, slots=True)
class Acting:
    """An actor with what matters here: the key it uses, if it is one, and whom it acts for."""

    actor: Actor
    key: ApiKey | None
    member_id: UUID | None
    service_account_id: UUID | None

    @property
    def scopes(self) -> frozenset[str]:
        """What this actor may give away."""
        return frozenset(KEY_SCOPES) if self.actor.is_platform else self.actor.scopes & frozenset(KEY_SCOPES)


def acting(actor: Actor) -> Acting:
    """Find out on whose behalf an actor acts, and that it may write keys at all."""
    if not actor.is_platform and "keys:write" not in actor.scopes:
        raise ScopeMissing("keys:write")
    if actor.kind is ActorKind.KEY:
        key = ApiKey.objects.filter(pk=actor.id).first()
        if key is None:
            raise KeyNotFound
        return Acting(actor, key, key.member_id, key.service_account_id)
    if actor.kind is ActorKind.MEMBER:
        return Acting(actor, None, UUID(actor.id), None)
    return Acting(actor, None, None, None)


def may_manage(who: Acting, key: ApiKey) -> None:
    """Refuse unless the actor may change or end this key."""
    _same_environment(who, key.environment)
    if who.actor.is_platform or key.service_account_id is not None or "members:write" in who.actor.scopes:
        return
    if key.member_id != who.member_id:
        raise NotYourKey


def may_manage_accounts(who: Acting) -> None:
    """Refuse unless the actor may change service accounts, which live and test keys share."""
    _same_environment(who, Environment.LIVE)


def may_receive(
    who: Acting, grant: Grant, *, environment: str, member_id: UUID | None, service_account_id: UUID | None
) -> None:
    """Refuse unless the actor may hold a secret that acts for this owner with this grant."""
    _same_environment(who, environment)
    if not who.actor.is_platform and service_account_id is None and member_id != who.member_id:
        raise NotYourKey
    unknown = grant.scopes - frozenset(KEY_SCOPES)
    if unknown:
        raise UnknownScope(unknown)
    missing = grant.scopes - who.scopes
    if missing:
        raise ScopeNotHeld(missing)
    if who.key is not None:
        within(grant, who.key)


def may_be_child(grant: Grant, parent: ApiKey) -> None:
    """Refuse a child that could do more than its parent."""
    unknown = grant.scopes - frozenset(KEY_SCOPES)
    if unknown:
        raise UnknownScope(unknown)
    if parent.parent_id is not None:
        raise WiderThanParent("a child key has no children")
    if grant.scopes & NOT_FOR_CHILDREN:
        raise WiderThanParent("a child key cannot write keys")
    wider = grant.scopes - frozenset(parent.scopes)
    if wider:
        raise WiderThanParent(f"the parent does not have {', '.join(sorted(wider))}")
    within(grant, parent)


def within(grant: Grant, bounds: ApiKey) -> None:
    """Refuse restrictions looser than those of the key that stands above: its models, networks and limits."""
    if bounds.models_allowed:
        wider = set(grant.models_allowed) - set(bounds.models_allowed)
        if wider or not grant.models_allowed:
            raise WiderThanParent(f"only the models {', '.join(bounds.models_allowed)} may be allowed")
    if bounds.addresses_allowed and not _inside(grant.addresses_allowed, bounds.addresses_allowed):
        raise WiderThanParent(f"only addresses in {', '.join(bounds.addresses_allowed)} may be allowed")
    for name in () if bounds.shadow_limits else LIMIT_NAMES:
        most, wanted = getattr(bounds, name), getattr(grant.limits, name)
        if most is not None and (wanted is None or wanted > most):
            raise WiderThanParent(f"{name} may be at most {most}")
        if most is not None and grant.limits.shadow_limits:
            raise WiderThanParent(f"{name} may not be in shadow")


def _inside(wanted: Sequence[str], bounds: Iterable[str]) -> bool:
    outer = [parse_network(text) for text in bounds]
    return bool(wanted) and all(
        any(inner.version == network.version and inner.subnet_of(network) for network in outer)  # type: ignore[arg-type]
        for inner in map(parse_network, wanted)
    )


def _same_environment(who: Acting, environment: str) -> None:
    if who.key is not None and who.key.environment != environment:
        raise WrongEnvironment(who.key.environment)
