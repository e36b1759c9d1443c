"""Refusals in Stripe's own form."""

from typing import Any


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, type: str, message: str, *, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.status = status
        error: dict[str, Any] = {"type": type, "message": message}
        if code:
            error["code"] = code
        if param:
            error["param"] = param
        self.body = {"error": error}


def invalid(message: str, *, code: str = "", param: str = "", status: int = 400) -> Refusal:
    """The request is wrong."""
    return Refusal(status, "invalid_request_error", message, code=code, param=param)


def missing(kind: str, id: str) -> Refusal:
    """There is no such object."""
    return invalid(f"No such {kind}: '{id}'", code="resource_missing", param="id", status=404)
