"""Who is calling: from the headers to a tenant and a key, without I/O when they were seen before."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from apps.ai_usage.gateway.errors import Kind, Refusal, invalid_key
from apps.ai_usage.gateway.process import GatewayProcess, now
from apps.ai_usage.gateway.requests import Headers, Scope
from apps.ai_usage.gateway.snapshots import KeySnapshot, TenantSnapshot
from apps.identity.addresses import address_behind_proxies
from apps.keys.authentication import verify
from apps.keys.errors import InvalidKey
from apps.keys.tokens import ParsedKey, parse
from apps.tenancy.hosts import normalise


@dataclass(slots=True)
class Caller:
    """A key that is valid as of its tenant's snapshot. Admission says whether that snapshot is still true."""

    snapshot: TenantSnapshot
    key: KeySnapshot
    address: str
    # Whether the snapshot was read for this call alone, because a writer is at work or Valkey is away.
    is_fresh: bool


def presented(headers: Headers) -> ParsedKey:
    """The key in the headers, by form alone."""
    authorization, x_api_key = headers.get(b"authorization"), headers.get(b"x-api-key")
    if authorization is not None and x_api_key is None:
        scheme, _, secret = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise invalid_key()
    elif x_api_key is not None and authorization is None:
        secret = x_api_key
    else:
        raise invalid_key()
    try:
        parsed = parse(secret.decode("ascii"))
    except UnicodeDecodeError:
        raise invalid_key() from None
    if parsed is None:
        raise invalid_key()
    return parsed


def fragment(headers: Headers) -> str | None:
    """The tenant that the presented key claims to be of, if it has the form of a key."""
    try:
        return presented(headers).tenant_ref
    except Refusal:
        return None


async def identify(
    process: GatewayProcess,
    scope: Scope,
    headers: Headers,
    at: datetime,
    *,
    epoch: int | None = None,
    dirty: bool = False,
) -> Caller:
    """The caller as of its tenant's snapshot, or of this epoch if admission has just named one."""
    host = await known_host(process, headers)
    parsed = presented(headers)
    address = _address(scope, headers)
    snapshot = process.snapshots.remembered(parsed.tenant_ref)
    fresh = False
    if snapshot is None or (epoch is not None and (snapshot.epoch != epoch or dirty)):
        tenant = snapshot.tenant if snapshot else await process.snapshots.tenant_ref(parsed.tenant_ref)
        if tenant is None:
            raise invalid_key()
        if epoch is None:
            epoch, dirty = await process.epoch(tenant)
        fresh = dirty or epoch is None
        snapshot = await process.snapshots.load(tenant, epoch or 0, keep=not fresh)
    if host is not None and host != snapshot.tenant.id:
        raise invalid_key()
    key = await process.snapshots.key(snapshot, parsed.key_id)
    if key is None:
        raise invalid_key()
    try:
        verify(key.principal, parsed, now=at, address=address)
    except InvalidKey:
        raise invalid_key() from None
    agent = headers.get(b"user-agent", b"").decode("latin-1")
    process.last_uses.note(key.principal, at=at, address=address, agent=agent)
    return Caller(snapshot, key, address, fresh)


async def first_look(process: GatewayProcess, scope: Scope, headers: Headers) -> Caller:
    """The caller as this process remembers it, before the body is read; refused only for what is true now.

    Whether what is remembered still holds is for admission to say.
    """
    try:
        return await identify(process, scope, headers, now())
    except Refusal as refusal:
        changed = await moved_on(process, refusal, fragment(headers))
        if changed is None:
            raise
        return await identify(process, scope, headers, now(), epoch=changed[0], dirty=changed[1])


async def moved_on(process: GatewayProcess, refusal: Refusal, ref: str | None) -> tuple[int, bool] | None:
    """The tenant's epoch if it moved past the snapshot that refused; None where the refusal stands."""
    snapshot = process.snapshots.remembered(ref) if ref else None
    if snapshot is None or refusal.kind is Kind.UNAVAILABLE or refusal.code == "unknown_host":
        return None
    epoch, dirty = await process.epoch(snapshot.tenant)
    if epoch is None or (epoch == snapshot.epoch and not dirty):
        return None
    return epoch, dirty


async def known_host(process: GatewayProcess, headers: Headers) -> object:
    """The id of the tenant whose host this is; None on a host of all tenants; 404 on one of nobody."""
    host = normalise(headers.get(b"host", b"").decode("latin-1"))
    if host in settings.SHARED_HOSTS:
        return None
    found = await process.snapshots.host(host)
    if found is None or not found.is_served:
        raise Refusal(Kind.NOT_FOUND, "unknown_host", "There is nothing at this address.")
    return found.id


def _address(scope: Scope, headers: Headers) -> str:
    peer = scope.get("client")
    return address_behind_proxies(
        peer[0] if peer else "",
        headers.get(b"x-forwarded-for", b"").decode("latin-1"),
        settings.TRUSTED_PROXY_COUNT,
    )
