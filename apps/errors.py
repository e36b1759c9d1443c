"""What can go wrong in the business, as one type that every surface knows how to answer."""

from collections.abc import Mapping
from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal with a reason that its reader can act on.

    A subclass sets `status` (the HTTP status) and `code` (stable, documented). The message says what happened
    and what to do. `details` are facts for a machine; `retry_after` is in seconds, for when waiting helps.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after
