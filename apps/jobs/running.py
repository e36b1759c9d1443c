"""The ticket that the code at hand runs for."""

from contextvars import ContextVar

from apps.jobs.types import Claim

held: ContextVar[Claim | None] = ContextVar("lockstep_ticket", default=None)


def is_last_try() -> bool:
    """Whether a failure now would bury the ticket; False outside a ticket."""
    claim = held.get()
    return claim is not None and claim.attempt >= claim.max_attempts
