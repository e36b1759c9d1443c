"""What can go wrong with keys, and how each surface says it."""

from enum import StrEnum

from apps.errors import DomainError


class Refusal(StrEnum):
    """Why a key was not accepted: for logs, metrics and the tenant's own log, never for the caller."""

    MISSING = "missing"
    MALFORMED = "malformed"
    OTHER_TENANT = "other_tenant"
    UNKNOWN = "unknown"
    WRONG_SECRET = "wrong_secret"  # noqa: S105  (a reason, no secret)
    EXPIRED = "expired"
    WRONG_ENVIRONMENT = "wrong_environment"
    WRONG_ADDRESS = "wrong_address"


class InvalidKey(DomainError):
    """One answer for every key that is not accepted, so that nobody learns which part was right."""

    status = 401
    code = "invalid_key"

    def __init__(self, reason: Refusal) -> None:
        self.reason = reason
        super().__init__(
            "This API key is not accepted here. It may be missing or mistyped, expired, disabled or revoked, "
            "made for another host, or not allowed from your address. Check it under Keys in the portal."
        )


class KeyNotFound(DomainError):
    status = 404
    code = "key_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such key, or it is not yours to see.")


class KeyLimitReached(DomainError):
    status = 409
    code = "key_limit_reached"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"Your plan allows {limit} keys at a time. Revoke one, or change plan.", details={"limit": limit}
        )


class ChildLimitReached(DomainError):
    status = 409
    code = "child_limit_reached"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A key can have {limit} living child keys. Revoke one, or let them expire.",
            details={"limit": limit},
        )


class ScopeNotHeld(DomainError):
    status = 403
    code = "scope_not_held"

    def __init__(self, scopes: set[str] | frozenset[str]) -> None:
        named = sorted(scopes)
        super().__init__(
            f"You cannot give what you do not hold: {', '.join(named)}. Ask somebody who holds it.",
            details={"scopes": named},
        )


class UnknownScope(DomainError):
    status = 400
    code = "unknown_scope"

    def __init__(self, scopes: set[str] | frozenset[str]) -> None:
        named = sorted(scopes)
        super().__init__(
            f"There is no scope {', '.join(named)}. Scopes are named one by one; there are no wildcards.",
            details={"scopes": named},
        )


class InvalidNetwork(DomainError):
    status = 400
    code = "invalid_network"

    def __init__(
        self, text: str, *, reason: str = "write an address or a CIDR, such as 203.0.113.0/24"
    ) -> None:
        super().__init__(f"{text[:60]!r} is not a network: {reason}.")


class InvalidKeySettings(DomainError):
    status = 400
    code = "invalid_key_settings"


class KeyLifetimeTooLong(DomainError):
    status = 403
    code = "key_lifetime_too_long"

    def __init__(self, days: int) -> None:
        super().__init__(
            f"Keys live at most {days} days here. Choose an earlier expiry.", details={"maximum_days": days}
        )


class NotYourKey(DomainError):
    status = 403
    code = "not_your_key"

    def __init__(self) -> None:
        super().__init__(
            "This key or owner is not yours. Use your own, or ask somebody who may manage everybody's keys."
        )


class WiderThanParent(DomainError):
    status = 403
    code = "wider_than_parent"

    def __init__(self, what: str) -> None:
        super().__init__(f"A child key cannot have more than its parent: {what}.", details={"wider": what})


class KeyNotUsable(DomainError):
    status = 409
    code = "key_not_usable"

    def __init__(self, state: str) -> None:
        super().__init__(f"This key is {state}, so that cannot be done with it.", details={"state": state})


class KeyAlreadyIssued(DomainError):
    status = 409
    code = "key_already_issued"

    def __init__(self) -> None:
        super().__init__(
            "This form was sent before and its key was made then. Its secret was shown once, there."
        )


class ServiceAccountNotFound(DomainError):
    status = 404
    code = "service_account_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such service account.")


class ServiceAccountNameTaken(DomainError):
    status = 409
    code = "service_account_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a service account called {name!r} already. Choose another name.")


class ServiceAccountDisabled(DomainError):
    status = 409
    code = "service_account_disabled"

    def __init__(self) -> None:
        super().__init__("This service account is disabled. Enable it, or use another.")


class WrongEnvironment(DomainError):
    status = 403
    code = "wrong_environment"

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"A {environment} key cannot reach this. Live and test never mix.",
            details={"environment": environment},
        )


class InvalidReport(DomainError):
    status = 403
    code = "invalid_report_signature"

    def __init__(self) -> None:
        super().__init__("This report is not signed by a partner that we know.")
