"""What can be wrong with a REST request whatever it asks for."""

from apps.errors import DomainError


class InvalidCursor(DomainError):
    status = 400
    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__(
            "This cursor is not from this list, or the filters are other ones now. Start from the first page."
        )


class InvalidIdempotencyKey(DomainError):
    status = 400
    code = "invalid_idempotency_key"

    def __init__(self) -> None:
        super().__init__("An Idempotency-Key has 1 to 255 printable ASCII characters, such as a new UUID.")


class IdempotencyKeyReused(DomainError):
    status = 422
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key came with another request before. Use a new one for a new request."
        )


class RequestInProgress(DomainError):
    status = 409
    code = "request_in_progress"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is being worked on. Ask again shortly for its answer.",
            retry_after=1,
        )


class TooManyRequests(DomainError):
    status = 429
    code = "rate_limited"

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(
            f"At most {limit} requests a minute are answered here. Slow down and try again.",
            details={"limit": limit},
            retry_after=retry_after,
        )
