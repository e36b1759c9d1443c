"""What the data boundary refuses, and how an inspection can fail."""

from apps.errors import DomainError


class InvalidBoundary(DomainError):
    status = 400
    code = "invalid_data_boundary"

    def __init__(self, reason: str) -> None:
        super().__init__(f"This data boundary cannot be kept: {reason}.")


class BoundaryLooser(DomainError):
    status = 409
    code = "data_boundary_too_loose"

    def __init__(self, what: list[str]) -> None:
        super().__init__(f"The operator requires more: {', '.join(what)}.")


class UnreadableText(DomainError):
    status = 400
    code = "text_not_inspected"

    def __init__(self) -> None:
        super().__init__("This text takes too long to look through. Send less at once.")


class OutOfTime(Exception):
    """The text could not be looked through in the time there was."""

    def __init__(self) -> None:
        super().__init__("The inspection took too long.")


class Blocked(Exception):
    """The policy blocks what stands in a text. Names classes, never a value."""

    def __init__(self, classes: list[str]) -> None:
        super().__init__(", ".join(classes))
        self.classes = classes
