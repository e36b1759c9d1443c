"""What the gateway refuses, and how each dialect says it (docs/errors.md)."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class _Form:
    openai_status: int
    openai_type: str
    openai_code: str | None  # None: our own code
    anthropic_status: int
    anthropic_type: str
    retry: bool | None  # what `x-should-retry` tells the SDKs; None leaves it to them


class Kind(Enum):
    """Kinds of refusal, with status, type and code as each surface's SDK expects them."""

    AUTHENTICATION = _Form(401, "invalid_request_error", "invalid_api_key", 401, "authentication_error", None)
    PERMISSION = _Form(403, "permission_error", None, 403, "permission_error", None)
    NOT_FOUND = _Form(404, "invalid_request_error", None, 404, "not_found_error", None)
    INVALID = _Form(400, "invalid_request_error", None, 400, "invalid_request_error", None)
    MEDIA_TYPE = _Form(415, "invalid_request_error", None, 415, "invalid_request_error", None)
    METHOD = _Form(405, "invalid_request_error", None, 405, "invalid_request_error", None)
    TOO_LARGE = _Form(413, "invalid_request_error", None, 413, "request_too_large", None)
    REQUEST_TIMEOUT = _Form(408, "invalid_request_error", None, 408, "timeout_error", None)
    CONFLICT = _Form(409, "invalid_request_error", None, 409, "invalid_request_error", None)
    QUOTA = _Form(429, "insufficient_quota", "insufficient_quota", 402, "billing_error", False)
    UNPAID = _Form(402, "billing_error", None, 402, "billing_error", False)
    RATE = _Form(429, "requests", "rate_limit_exceeded", 429, "rate_limit_error", None)
    UNAVAILABLE = _Form(503, "server_error", None, 503, "api_error", None)
    UPSTREAM = _Form(502, "server_error", None, 502, "api_error", None)
    UPSTREAM_BUSY = _Form(503, "server_error", None, 529, "overloaded_error", None)
    UPSTREAM_TIMEOUT = _Form(504, "server_error", None, 504, "timeout_error", None)
    INTERNAL = _Form(500, "server_error", None, 500, "api_error", None)


class Refusal(Exception):
    """A call that ends without an answer from a model. `code` is stable and ours; `message` says what to do."""

    def __init__(
        self,
        kind: Kind,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.headers = headers

    def status(self, dialect: str) -> int:
        """The HTTP status on a surface."""
        form = self.kind.value
        return form.anthropic_status if dialect == "anthropic" else form.openai_status

    def body(self, dialect: str, request_id: str) -> bytes:
        """The error body on a surface."""
        return orjson.dumps(self.document(dialect, request_id))

    def document(self, dialect: str, request_id: str) -> dict[str, Any]:
        """The error object as the dialect has it; Anthropic's carries our code beside its type."""
        form = self.kind.value
        if dialect == "anthropic":
            return {
                "type": "error",
                "error": {"type": form.anthropic_type, "message": self.message, "code": self.code},
                "request_id": request_id,
            }
        return {
            "error": {
                "message": self.message,
                "type": form.openai_type,
                "param": self.param,
                "code": form.openai_code or self.code,
            }
        }

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers beside the common ones: our code, when to come back, and whether that helps."""
        headers = [(b"x-lockstep-code", self.code.encode()), *self.headers]
        if self.retry_after is not None:
            headers.append((b"retry-after", str(max(1, -int(-self.retry_after // 1))).encode()))
            headers.append((b"retry-after-ms", str(max(1, round(self.retry_after * 1000))).encode()))
        if self.kind.value.retry is not None:
            headers.append((b"x-should-retry", b"true" if self.kind.value.retry else b"false"))
        return headers


def invalid_key() -> Refusal:
    """The one answer to a missing, malformed, unknown, expired, revoked or foreign key."""
    return Refusal(
        Kind.AUTHENTICATION,
        "invalid_api_key",
        "The API key is missing, malformed, or not valid here. Send a key of this tenant as "
        "`Authorization: Bearer lk_…` or `x-api-key`.",
    )
