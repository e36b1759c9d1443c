"""What can go wrong with people and sign-in."""

from apps.errors import DomainError


class MemberNotFound(DomainError):
    status = 404
    code = "member_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such member here.")


class MemberExists(DomainError):
    status = 409
    code = "member_exists"

    def __init__(self, email: str) -> None:
        super().__init__(
            f"{email} is a member already. Change their role, or enable them again, in the list."
        )


class MemberLimitReached(DomainError):
    status = 409
    code = "member_limit_reached"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your plan allows {limit} members. Remove one, or change plan.", details={"limit": limit}
        )


class RoleAboveOwn(DomainError):
    status = 403
    code = "role_above_own"

    def __init__(self, role: str) -> None:
        super().__init__(
            f"The role {role} can do more than yours, so you can neither give it nor change who has it."
        )


class LastOwner(DomainError):
    status = 409
    code = "last_owner"

    def __init__(self) -> None:
        super().__init__("This is the last owner. Make somebody else an owner first.")


class WeakPassword(DomainError):
    status = 400
    code = "weak_password"

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(" ".join(reasons), details={"reasons": reasons})


class InvalidEmail(DomainError):
    status = 400
    code = "invalid_email"

    def __init__(self, email: str) -> None:
        super().__init__(f"{email!r} is not an e-mail address.")


class InvitationTaken(DomainError):
    status = 409
    code = "invitation_taken"

    def __init__(self) -> None:
        super().__init__(
            "They have chosen a password already. If it is forgotten, the sign-in page sends them a link."
        )


class OperatorExists(DomainError):
    status = 409
    code = "operator_exists"

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} is an operator already.")


class LastOperator(DomainError):
    status = 409
    code = "last_operator"

    def __init__(self) -> None:
        super().__init__("This is the last operator who can sign in. Let somebody else in first.")


class NotInThisPlane(DomainError):
    status = 403
    code = "not_in_this_plane"

    def __init__(self) -> None:
        super().__init__("Operators are made in the control plane only.")


class TenantIsSuspended(DomainError):
    status = 403
    code = "tenant_suspended"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"This tenant is suspended, so nothing can be changed: {reason or 'no reason was given.'}"
        )
