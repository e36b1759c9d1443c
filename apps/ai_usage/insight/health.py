"""How well calls went lately, from a bounded number of the newest."""

# ruff: noqa: S608  (the name of our own table)

from datetime import datetime, timedelta

from django.db import connection

from apps.ai_usage.insight.types import Health
from apps.ai_usage.models import Call

MOST_CALLS = 10_000


def recent_health(now: datetime, *, within: timedelta = timedelta(hours=24)) -> Health:
    """Errors and latencies of the newest calls of a stretch of time; what is read is bounded."""
    since = now - within
    table = connection.ops.quote_name(Call._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
WITH newest AS (
  SELECT outcome, duration_ms FROM {table} WHERE started_at >= %s ORDER BY started_at DESC LIMIT %s)
SELECT count(*), count(*) FILTER (WHERE outcome = 'refused'),
       count(*) FILTER (WHERE outcome IN ('failed', 'cut')),
       percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE outcome = 'ok'),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE outcome = 'ok')
  FROM newest
""",
            (since, MOST_CALLS),
        )
        count, refused, failed, p50, p95 = cursor.fetchone()
    return Health(
        since=since,
        calls=count,
        refused=refused,
        failed=failed,
        p50_ms=p50,
        p95_ms=p95,
        is_sample=count == MOST_CALLS,
    )
