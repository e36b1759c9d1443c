"""What can be wrong with a question about calls and usage."""

from apps.errors import DomainError


class CallNotFound(DomainError):
    status = 404
    code = "call_not_found"

    def __init__(self) -> None:
        super().__init__(
            "There is no such call here. The gateway's answers carry their call's id as x-lockstep-call-id."
        )


class ExplanationTookTooLong(DomainError):
    status = 503
    code = "explanation_took_too_long"

    def __init__(self) -> None:
        super().__init__("The gateway did not say in time what it would answer. Try again.", retry_after=2)


class InvalidPeriod(DomainError):
    status = 400
    code = "invalid_period"


class UsageTooFine(DomainError):
    status = 400
    code = "usage_too_fine"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"This comes to more than {most} rows. Ask for a shorter period, or group more coarsely.",
            details={"most_rows": most},
        )
