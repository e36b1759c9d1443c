"""What prompts refuse, and why."""

from apps.errors import DomainError


class PromptNotFound(DomainError):
    status = 404
    code = "prompt_not_found"

    def __init__(self, what: str = "prompt") -> None:
        super().__init__(f"There is no such {what} here.")


class PromptExists(DomainError):
    status = 409
    code = "prompt_exists"

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"There is a prompt {slug} already. Draft a new version of it, or choose another slug."
        )


class InvalidPrompt(DomainError):
    status = 400
    code = "invalid_prompt"

    def __init__(self, reason: str) -> None:
        super().__init__(f"This prompt cannot be kept: {reason}.")


class WrongVersionState(DomainError):
    status = 409
    code = "wrong_prompt_state"

    def __init__(self, number: int, state: str, needed: str) -> None:
        super().__init__(f"Version {number} is {state.replace('_', ' ')}; this needs one that is {needed}.")


class ReviewRefused(DomainError):
    status = 403
    code = "prompt_review_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"This version cannot be approved by you: {reason}.")


class InvalidVariables(DomainError):
    status = 400
    code = "invalid_prompt_variables"

    def __init__(self, problems: list[str]) -> None:
        super().__init__(f"The prompt's variables do not fit: {'; '.join(problems)[:400]}.")


class PromptNotUsable(DomainError):
    status = 403
    code = "prompt_not_usable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"This prompt cannot be used so: {reason}.")
