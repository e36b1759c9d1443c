"""What can go wrong with admission itself; a refusal is an answer (types.Refused), not one of these."""

from apps.errors import DomainError


class ValkeyUnavailable(Exception):
    """Valkey cannot be reached, does not answer in time, or answers that it cannot serve."""


class ValkeyError(Exception):
    """Valkey answered with an error that trying again would not mend."""


class GovernanceUnavailable(DomainError):
    """Limits that must hold cannot be checked now, so nothing is let through."""

    status = 503
    code = "governance_unavailable"

    def __init__(self, retry_after: float = 1.0) -> None:
        super().__init__(
            "Limits cannot be checked right now, so this request was not let through. Try again shortly.",
            retry_after=retry_after,
        )


class LeaseInUse(DomainError):
    """The call id already has an open or recently settled lease; every admission needs an id of its own."""

    status = 409
    code = "lease_in_use"

    def __init__(self, lease_id: str) -> None:
        super().__init__(f"Call {lease_id} was already admitted. Use a new call id for a new call.")
