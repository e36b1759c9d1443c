"""What governance refuses, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.errors import DomainError


class InvalidEntitlements(DomainError):
    status = 400
    code = "invalid_entitlements"

    def __init__(self, reason: str) -> None:
        super().__init__(f"These entitlements are not complete: {reason}.")


class FeatureNotIncluded(DomainError):
    status = 403
    code = "feature_not_included"

    def __init__(self, feature: str, plan: str, decision: Any = None) -> None:
        if decision is not None and decision.reason == "not_in_this_mode":
            said = f"{feature} is not there in the way this installation is run."
        elif decision is not None and decision.origin == "override":
            said = f"Your provider has switched {feature} off for you. Ask them to switch it on."
        else:
            said = f"The plan {plan or '(none)'} does not include {feature}. Ask for a plan that does."
        super().__init__(said, details={"feature": feature})


class ScopeMissing(DomainError):
    status = 403
    code = "scope_missing"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs the scope {scope}, which you do not hold.")


class AuditChainBroken(DomainError):
    status = 409
    code = "audit_chain_broken"

    def __init__(self, sequence: int, reason: str) -> None:
        super().__init__(f"The audit log does not hold from entry {sequence}: {reason}.")


class InvalidHold(DomainError):
    status = 409
    code = "invalid_hold"


class WebhookAddressRefused(DomainError):
    status = 400
    code = "webhook_address_refused"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"This address cannot be an endpoint: {reason}.")


class InvalidWebhookSettings(DomainError):
    status = 400
    code = "invalid_webhook_settings"


class WebhookNotFound(DomainError):
    status = 404
    code = "webhook_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such webhook endpoint or delivery here.")


class WebhookLimitReached(DomainError):
    status = 409
    code = "webhook_limit_reached"

    def __init__(self, limit: int) -> None:
        super().__init__(f"There can be {limit} webhook endpoints. Delete one that is not needed.")


class WebhookIsDisabled(DomainError):
    status = 409
    code = "webhook_disabled"

    def __init__(self) -> None:
        super().__init__("This endpoint is disabled, so nothing is sent to it. Enable it first.")


class InvalidPolicy(DomainError):
    status = 400
    code = "invalid_policy"

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        told = "; ".join(f"{where} {what}" for where, what in problems.items())
        super().__init__(f"This is not a policy: {told}.")


class PolicyLooserThanBound(DomainError):
    status = 400
    code = "policy_looser_than_bound"

    def __init__(self, looser: Sequence[tuple[str, str]]) -> None:
        self.looser = tuple(looser)
        told = " ".join(f"{rule}: {words}." for rule, words in looser)
        super().__init__(f"A policy can only tighten what stands above it. {told}")


class PolicyNotFound(DomainError):
    status = 404
    code = "policy_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such policy, or no such version of it.")


class PolicyChangedMeanwhile(DomainError):
    status = 409
    code = "policy_changed_meanwhile"

    def __init__(self, current: int) -> None:
        self.current = current
        super().__init__(
            f"This policy was changed meanwhile: its newest version is {current or 'none'}. Read it, then save again."
        )


class BudgetNotFound(DomainError):
    status = 404
    code = "budget_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such budget, or it is not yours to see.")


class BudgetExists(DomainError):
    status = 409
    code = "budget_exists"

    def __init__(self) -> None:
        super().__init__("There is such a budget already: change it, or remove it first.")


class InvalidBudget(DomainError):
    status = 400
    code = "invalid_budget"


class BudgetNotYours(DomainError):
    status = 403
    code = "budget_not_yours"

    def __init__(self) -> None:
        super().__init__(
            "You may set budgets on keys that you may change. For others, ask somebody who may change settings."
        )


class InvalidAnswerCache(DomainError):
    """A rule for answers from memory that is outside what the operator allows."""

    status = 400
    code = "invalid_answer_cache"
