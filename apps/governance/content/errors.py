"""Why there is no content to read."""

from apps.errors import DomainError


class ContentNotFound(DomainError):
    status = 404
    code = "content_not_found"

    def __init__(self) -> None:
        super().__init__(
            "Nothing is kept of this call: keeping was off, its days are over, or it was destroyed."
        )


class ContentUnreadable(DomainError):
    status = 409
    code = "content_unreadable"

    def __init__(self) -> None:
        super().__init__(
            "What was kept of this call cannot be decrypted: its master key is not in CREDENTIAL_KEY."
        )
