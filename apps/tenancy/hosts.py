"""Host → tenant, from an in-process map that a version in Valkey keeps true on every process."""

import logging
import threading

from django.core.cache import cache
from django.db import transaction
from redis.exceptions import RedisError
from uuid_utils.compat import uuid7

from apps.tenancy import context
from apps.tenancy.models import Domain
from apps.tenancy.types import TenantRef

_VERSION = "hosts"
_MOST = 10_000
_lock = threading.Lock()
_known: dict[str, TenantRef | None] = {}
_known_version: object = None


def normalise(host: str) -> str:
    """A Host header as it is compared: lower case, without port and trailing dot; empty if malformed."""
    host = host.strip().lower()
    if any(character in host for character in "\r\n\t @/\\"):
        return ""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].rstrip(".")


def tenant_for_host(host: str) -> TenantRef | None:
    """The tenant whose portal answers on this host, or None. One Valkey read; one query when anything changed.

    With Valkey away the map is not trusted and the database answers each time.
    """
    host = normalise(host)
    if not host:
        return None
    global _known_version
    with context.in_public():
        try:
            version = cache.get(_VERSION) or _first_version()
        except RedisError:
            return _look_up(host)
        with _lock:
            if version != _known_version or len(_known) > _MOST:
                _known.clear()
                _known_version = version
            if host in _known:
                return _known[host]
        found = _look_up(host)
        with _lock:
            if version == _known_version:
                _known[host] = found
        return found


def _look_up(host: str) -> TenantRef | None:
    row = Domain.objects.select_related("tenant").filter(domain=host).first()
    return row.tenant.as_ref() if row else None


def hosts_changed() -> None:
    """Tell every process to forget its map: now, for readers, and again when the change is committed."""
    _bump()
    transaction.on_commit(_bump)


def _first_version() -> str:
    cache.add(_VERSION, str(uuid7()), timeout=None)
    return str(cache.get(_VERSION))


def _bump() -> None:
    with context.in_public():
        try:
            # Never a counter: after a loss of Valkey it would come back to a number some process still holds.
            cache.set(_VERSION, str(uuid7()), timeout=None)
        except RedisError:
            # Without Valkey no process trusts its map, and what it forgets is a version none has seen.
            logging.getLogger(__name__).warning("host map version not announced: Valkey is away")
