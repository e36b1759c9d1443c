"""When to try again, and when to give an endpoint up."""

import random
from datetime import datetime, timedelta

# Pauses before the second attempt and each one after it: eleven attempts over about a day.
PAUSES = [5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28800]
MOST_TRIES = len(PAUSES) + 1
_AUDIT_MOST = 3600
# An endpoint that has accepted nothing for so long, over so many attempts, is disabled.
GIVE_UP_AFTER = timedelta(days=3)
GIVE_UP_FAILURES = 20


def next_try(tries: int, *, now: datetime, retry_after: int | None) -> datetime | None:
    """When the attempt after so many is due; None where none is left. Each pause is varied by a fifth."""
    if tries > len(PAUSES):
        return None
    pause = PAUSES[tries - 1] * random.uniform(0.8, 1.2)  # noqa: S311
    return now + timedelta(seconds=max(pause, retry_after or 0))


def next_audit_try(tries: int, *, now: datetime, retry_after: int | None) -> datetime:
    """The audit log is never given up while its endpoint is enabled: at most an hour between attempts."""
    pause = min(PAUSES[min(tries, len(PAUSES)) - 1], _AUDIT_MOST) * random.uniform(0.8, 1.2)  # noqa: S311
    return now + timedelta(seconds=max(pause, retry_after or 0))


def is_hopeless(failing_since: datetime | None, failures: int, now: datetime) -> bool:
    """Whether an endpoint has failed for so long that nobody can be there any more."""
    return failing_since is not None and failures >= GIVE_UP_FAILURES and now - failing_since >= GIVE_UP_AFTER
