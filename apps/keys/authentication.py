"""Who is calling: what the gateway and the REST API share, from the header to the principal.

The order is fixed: form and checksum (no I/O), the host's tenant (no I/O), the row, the digest in constant
time, then expiry, environment and address. Whatever fails, the caller reads the same sentence (`InvalidKey`).
"""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Subquery
from django.utils.http import http_date

from apps.identity.types import scopes_of
from apps.keys import describing, metrics, tokens
from apps.keys.addresses import Network, is_within, parse_network
from apps.keys.errors import InvalidKey, Refusal
from apps.keys.models import ApiKey, KeyPolicy
from apps.keys.tokens import ParsedKey
from apps.keys.types import Environment, Principal
from apps.tenancy.selectors import tenant_by_ref
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef


def presented_secret(*, authorization: Sequence[str], x_api_key: Sequence[str]) -> str:
    """The one key that a request brings, in `Authorization: Bearer …` or in `x-api-key`.

    Each argument holds that header's values, one per line of the request. Two keys, or one said twice, are
    refused: which of them counts would be a guess that a proxy before us may make differently.
    """
    if len(authorization) + len(x_api_key) != 1:
        raise _refused(Refusal.MALFORMED if authorization or x_api_key else Refusal.MISSING)
    if x_api_key:
        return x_api_key[0]
    scheme, _, secret = authorization[0].partition(" ")
    if scheme.lower() != "bearer":
        raise _refused(Refusal.MALFORMED)
    return secret


def authenticate(secret: str, *, host_tenant: TenantRef | None, address: str, now: datetime) -> Principal:
    """The principal of a presented key, read from the database; InvalidKey whatever it is refused for.

    On a tenant's own host (`host_tenant`) only that tenant's keys are looked at. On a shared host the key
    itself names the tenant.
    """
    parsed = tokens.parse(secret)
    if parsed is None:
        raise _refused(Refusal.MALFORMED)
    if host_tenant is not None and parsed.tenant_ref != host_tenant.ref:
        raise _refused(Refusal.OTHER_TENANT)
    tenant = host_tenant or tenant_by_ref(parsed.tenant_ref)
    principal = load_principal(tenant, parsed.key_id) if tenant is not None else None
    if principal is None:
        raise _refused(Refusal.UNKNOWN)
    verify(principal, parsed, now=now, address=address)
    return principal


def load_principal(tenant: TenantRef, key_public_id: str) -> Principal | None:
    """A usable key with its owner, parent and the tenant's networks, in one query.

    None where there is no such key, or it, its parent, its owner or the tenant was revoked, disabled or
    removed. Expiry is left to `verify`, which is asked on each request; so an answer may be kept until the
    tenant's epoch changes.
    """
    if not tenant.is_served:
        return None
    with in_tenant(tenant):
        row = (
            ApiKey.objects.with_context()
            .annotate(tenant_networks=Subquery(KeyPolicy.objects.values("addresses_allowed")[:1]))
            .filter(key_id=key_public_id)
            .first()
        )
    if row is None or _is_ended(row) or not describing.owner_is_active(row):
        return None
    parent = row.parent
    if parent is not None and _is_ended(parent):
        return None
    scopes = frozenset(row.scopes)
    if row.member is not None:
        # A member whose role lost a right has keys that lost it too.
        scopes &= scopes_of(row.member.role)
    if parent is not None:
        scopes &= frozenset(parent.scopes)
    owner = describing.owner(row)
    listed = (row.addresses_allowed, parent.addresses_allowed if parent else (), row.tenant_networks or ())
    return Principal(
        tenant=tenant,
        key_id=row.pk,
        key_public_id=row.key_id,
        name=row.name,
        environment=Environment(row.environment),
        owner_kind=owner.kind,
        owner_id=owner.id,
        owner_name=owner.name,
        scopes=scopes,
        models_allowed=frozenset(row.models_allowed) or frozenset(parent.models_allowed if parent else ()),
        networks=tuple(_networks(texts) for texts in listed if texts),
        limits=describing.limits(row),
        tags=dict(row.tags),
        expires_at=min(row.expires_at, parent.expires_at) if parent else row.expires_at,
        deprecated=row.replaced_by_id is not None,
        parent_id=row.parent_id,
        parent_limits=describing.limits(parent) if parent else None,
        digest=bytes(row.digest),
        pepper_id=row.pepper_id,
    )


def verify(principal: Principal, parsed: ParsedKey, *, now: datetime, address: str | None) -> None:
    """Check a parsed key against a principal, without I/O: secret, expiry, environment, address.

    An empty address is one that could not be made out, and is in no network; None is no question of address.
    """
    if not tokens.matches(parsed, digest=principal.digest, pepper_id=principal.pepper_id):
        raise _refused(Refusal.WRONG_SECRET)
    if parsed.environment != principal.environment:
        raise _refused(Refusal.WRONG_ENVIRONMENT)
    reason = why_not_now(principal, now=now, address=address)
    if reason is not None:
        raise _refused(reason)


def why_not_now(principal: Principal, *, now: datetime, address: str | None) -> Refusal | None:
    """Why the right secret of a key would be refused at a moment, from an address; None where it would not."""
    if principal.expires_at <= now:
        return Refusal.EXPIRED
    if address is not None:
        for networks in principal.networks:
            if not is_within(address, networks):
                return Refusal.WRONG_ADDRESS
    return None


def notices(principal: Principal, *, now: datetime) -> dict[str, str]:
    """Headers that say that a key has a successor, and when it stops working (RFC 9745, RFC 8594)."""
    if not principal.deprecated:
        return {}
    return {
        "deprecation": f"@{int(now.timestamp())}",
        "sunset": http_date(principal.expires_at.timestamp()),
    }


def _is_ended(row: ApiKey) -> bool:
    return row.revoked_at is not None or row.disabled_at is not None


def _networks(texts: Sequence[str]) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in texts)


def _refused(reason: Refusal) -> InvalidKey:
    metrics.REFUSED.labels(reason.value).inc()
    return InvalidKey(reason)
