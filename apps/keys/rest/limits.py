"""How many REST requests are answered a minute: one counter per key or address and minute in Valkey.

The gateway has limits of its own (governance.admission); these protect the API from a loop that ran away.
With Valkey away they let everything through, as throughput limits do.
"""

import logging
import time
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.keys import metrics
from apps.keys.rest.errors import TooManyRequests
from apps.tenancy.services import in_public

log = logging.getLogger(__name__)
_WINDOW = 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a minute's requests, for the headers of draft-ietf-httpapi-ratelimit-headers-11."""

    name: str
    limit: int
    remaining: int
    resets_in: int

    def headers(self) -> dict[str, str]:
        """The two fields. The policy's name says what is counted, never who."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={_WINDOW}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.resets_in}',
        }


def count(name: str, subject: str, *, limit: int, now: float | None = None) -> Allowance | None:
    """Count one request of a subject; TooManyRequests beyond the limit, None while Valkey is away.

    Counters are kept outside any tenant: subjects are unique by themselves (a key's id, an address).
    """
    moment = time.time() if now is None else now
    window, into = divmod(int(moment), _WINDOW)
    resets_in = _WINDOW - into
    key = f"rest:{name}:{subject}:{window}"
    try:
        with in_public():
            cache.add(key, 0, timeout=2 * _WINDOW)
            used = cache.incr(key)
    except (RedisError, ValueError) as away:
        log.warning("REST rate of %s not counted: %s", name, away)
        return None
    if used > limit:
        metrics.REST_LIMITED.inc()
        raise TooManyRequests(limit, resets_in)
    return Allowance(name, limit, limit - used, resets_in)
