"""How far each tenant's log goes, remembered in Valkey: whoever cuts entries off in PostgreSQL does not reach it.

It is only ever moved forward. Lost with Valkey's data it proves nothing, and the signed heads are left; but between
two heads it is what shows that the newest entries are gone.
"""

import logging
from functools import cache
from uuid import UUID

import redis
from django.conf import settings

log = logging.getLogger(__name__)

_KEY = "audit:tails"
_PATIENCE = 0.25


def remember(tenant_id: UUID, sequence: int) -> None:
    """After the commit of an entry. An outage costs the memory, not the entry."""
    try:
        _valkey(settings.VALKEY_URL).zadd(_KEY, {tenant_id.hex: sequence}, gt=True)
    except redis.RedisError as away:
        log.warning("end of an audit log not remembered: %s", away)


def last_sequence(tenant_id: UUID) -> int | None:
    """The last entry that was committed, as far as Valkey knows."""
    try:
        found = _valkey(settings.VALKEY_URL).zscore(_KEY, tenant_id.hex)
    except redis.RedisError:
        return None
    return None if found is None else int(found)


@cache
def _valkey(url: str) -> "redis.Redis":
    return redis.Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
