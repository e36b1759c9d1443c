"""How OpenAI and Anthropic each say no, and the headers they put on every answer."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

OPENAI: Final = "openai"
ANTHROPIC: Final = "anthropic"

_OPENAI_DEFAULTS: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "The request is invalid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    409: ("invalid_request_error", None, "The request conflicts with another one."),
    413: ("invalid_request_error", None, "The request is too large."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}
_ANTHROPIC_DEFAULTS: Final[dict[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "The request is invalid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your account has a billing problem."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
_REQUESTS_LIMIT: Final = 10_000
_TOKENS_LIMIT: Final = 2_000_000


class Refusal(Exception):
    """A request the provider would refuse, in words that fit both dialects."""

    def __init__(
        self, status: int, message: str | None = None, *, type: str | None = None, code: str | None = None,
        param: str | None = None, headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers or {}
        super().__init__(message)

    def body(self, dialect: str, request_id: str) -> dict[str, Any]:
        """Return the error body this dialect's clients understand."""
        if dialect == ANTHROPIC:
            kind, message = _ANTHROPIC_DEFAULTS.get(
                self.status, ("api_error" if self.status >= 500 else "invalid_request_error", "Error")
            )
            error = {"type": self.type or kind, "message": self.message or message}
            return {"type": "error", "error": error, "request_id": request_id}
        kind, code, message = _OPENAI_DEFAULTS.get(
            self.status, ("server_error" if self.status >= 500 else "invalid_request_error", None, "Error")
        )
        if self.code == "insufficient_quota":
            kind, message = "insufficient_quota", "You exceeded your current quota, please check your plan."
        # A validation error speaks for itself; only a bare status takes the usual code.
        code = self.code if self.code or self.message else code
        return {
            "error": {
                "message": self.message or message,
                "type": self.type or kind,
                "param": self.param,
                "code": code,
            }
        }


def headers(dialect: str, request_id: str, started: float, tokens: int) -> dict[str, str]:
    """Return the headers of an answer; `started` is a `time.perf_counter()`."""
    if dialect == ANTHROPIC:
        reset = _rfc3339_in_a_second(int(time.time()))
        return {
            "request-id": request_id,
            "anthropic-organization-id": "00000000-0000-4000-8000-000000000001",
            "anthropic-ratelimit-requests-limit": str(_REQUESTS_LIMIT),
            "anthropic-ratelimit-requests-remaining": str(_REQUESTS_LIMIT - 1),
            "anthropic-ratelimit-requests-reset": reset,
            "anthropic-ratelimit-tokens-limit": str(_TOKENS_LIMIT),
            "anthropic-ratelimit-tokens-remaining": str(max(_TOKENS_LIMIT - tokens, 0)),
            "anthropic-ratelimit-tokens-reset": reset,
            "anthropic-ratelimit-input-tokens-limit": str(_TOKENS_LIMIT),
            "anthropic-ratelimit-input-tokens-remaining": str(max(_TOKENS_LIMIT - tokens, 0)),
            "anthropic-ratelimit-input-tokens-reset": reset,
            "anthropic-ratelimit-output-tokens-limit": str(_TOKENS_LIMIT),
            "anthropic-ratelimit-output-tokens-remaining": str(_TOKENS_LIMIT),
            "anthropic-ratelimit-output-tokens-reset": reset,
        }
    return {
        "x-request-id": request_id,
        "openai-organization": "lockstep-simulated",
        "openai-processing-ms": str(int((time.perf_counter() - started) * 1000)),
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": str(_REQUESTS_LIMIT),
        "x-ratelimit-limit-tokens": str(_TOKENS_LIMIT),
        "x-ratelimit-remaining-requests": str(_REQUESTS_LIMIT - 1),
        "x-ratelimit-remaining-tokens": str(max(_TOKENS_LIMIT - tokens, 0)),
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": f"{max(tokens * 30 // 1000, 1)}ms",
    }


@lru_cache(maxsize=4)
def _rfc3339_in_a_second(now: int) -> str:
    return (datetime.fromtimestamp(now, UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
