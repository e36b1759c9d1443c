"""What billing refuses, and why."""

from collections.abc import Sequence

from apps.ai_usage.types import CatalogueProblem
from apps.errors import DomainError


class InvalidCatalogue(DomainError):
    """The file is refused whole; `problems` lists everything that is wrong with it."""

    status = 400
    code = "invalid_catalogue"

    def __init__(self, problems: Sequence[CatalogueProblem]) -> None:
        self.problems = sorted(problems)
        lines = [
            f"  line {problem.line}: {problem.where}: {problem.reason}."
            if problem.line
            else f"  {problem.where}: {problem.reason}."
            for problem in self.problems
        ]
        super().__init__(
            "Nothing was changed, because the catalogue cannot be applied:\n" + "\n".join(lines),
            details={"problems": [problem._asdict() for problem in self.problems]},
        )


class PlanNotFound(DomainError):
    status = 404
    code = "plan_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no plan {name}. `manage.py catalogue export` lists the plans.")


class InvalidPlan(DomainError):
    status = 400
    code = "invalid_plan"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The plan {name} cannot be published: {reason}.")


class NotSubscribed(DomainError):
    status = 409
    code = "not_subscribed"

    def __init__(self, slug: str) -> None:
        super().__init__(f"Tenant {slug} has no subscription. Give it a plan first.")


class AlreadySubscribed(DomainError):
    status = 409
    code = "already_subscribed"

    def __init__(self, slug: str, plan: str) -> None:
        super().__init__(f"Tenant {slug} is on the plan {plan} already; change it with set-plan.")


class CurrencyFixed(DomainError):
    status = 409
    code = "currency_fixed"

    def __init__(self, slug: str, before: str, after: str) -> None:
        super().__init__(
            f"Tenant {slug} is invoiced in {before}; a plan in {after} needs a new subscription after "
            "the last "
            f"invoice in {before}."
        )


class InvalidOverride(DomainError):
    status = 400
    code = "invalid_override"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be overridden like this: {reason}.")


class InvoiceNotFound(DomainError):
    status = 404
    code = "invoice_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such invoice, or it is not yours.")


class InvoiceNotDraft(DomainError):
    status = 409
    code = "wrong_invoice_state"

    def __init__(self, number: str, state: str, wanted: str) -> None:
        super().__init__(
            f"Invoice {number or '(draft)'} is {state}; that can only be done to one that is {wanted}."
        )


class PeriodNotOver(DomainError):
    status = 409
    code = "period_not_over"

    def __init__(self, period: str, ends: str) -> None:
        super().__init__(f"The period {period} cannot be closed before it ends at {ends}.")


class BooksDoNotBalance(DomainError):
    """Events, sums and lines of a period differ. The period stays open until somebody has found out why."""

    status = 500
    code = "books_do_not_balance"

    def __init__(self, slug: str, period: str, ledger: str, lines: str) -> None:
        super().__init__(
            f"The ledger of {slug} for {period} comes to {ledger}, the invoice's usage lines to "
            f"{lines}. The period "
            "is not closed. Run `manage.py rollups rebuild` for it and compare."
        )


class CreditTooSmall(DomainError):
    status = 409
    code = "credit_too_small"

    def __init__(self, wanted: str, balance: str) -> None:
        super().__init__(f"{wanted} cannot be taken from a credit of {balance}.")


class OwnerNeeded(DomainError):
    status = 400
    code = "owner_needed"

    def __init__(self) -> None:
        super().__init__("A tenant needs the e-mail address of its owner.")
