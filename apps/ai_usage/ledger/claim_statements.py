"""The SQL of Idempotency-Keys: taking a name, reading what stands under it, and letting it go."""

from functools import cache

from apps.ai_usage.models import IdempotentCall


def _table(schema: str) -> str:
    return f'"{schema}"."{IdempotentCall._meta.db_table}"'


@cache
def take(schema: str) -> str:
    """Insert the claim, or take over one that ran out: of its window, or of its lease.

    The same request taken over keeps its event's id. Its first call may have been charged after all, by a process
    that has not reached PostgreSQL yet, and then the second charge is the one that the ledger does not take.
    """
    return f"""
INSERT INTO {_table(schema)} AS mine
    (id, fingerprint, call_id, event_id, state, lease_until, content_type, answer, expires_at)
VALUES (%(id)s, %(mark)s, %(call)s, %(event)s, 'open', now() + make_interval(secs => %(lease)s), '', NULL,
        now() + make_interval(hours => %(hours)s))
ON CONFLICT (id) DO UPDATE
   SET fingerprint = excluded.fingerprint, call_id = excluded.call_id, state = 'open', answer = NULL,
       lease_until = excluded.lease_until, expires_at = excluded.expires_at,
       event_id = CASE WHEN mine.expires_at > now() AND mine.fingerprint = excluded.fingerprint
                       THEN mine.event_id ELSE excluded.event_id END
 WHERE mine.expires_at <= now() OR (mine.state = 'open' AND mine.lease_until <= now())
RETURNING event_id
"""


@cache
def extend(schema: str) -> str:
    """Move the lease of an open claim on, by so many seconds from now."""
    return (
        f"UPDATE {_table(schema)} SET lease_until = now() + make_interval(secs => %s) "
        "WHERE id = %s AND call_id = %s AND state = 'open'"
    )


@cache
def forget(schema: str) -> str:
    """Let the name of an open claim be used again."""
    return f"DELETE FROM {_table(schema)} WHERE id = %s AND call_id = %s AND state = 'open'"


@cache
def read(schema: str) -> str:
    """What stands under a name."""
    return f"SELECT * FROM {_table(schema)} WHERE id = %s"
