"""What governance refuses, and why."""

from apps.errors import DomainError


class InvalidEntitlements(DomainError):
    status = 400
    code = "invalid_entitlements"

    def __init__(self, reason: str) -> None:
        super().__init__(f"These entitlements are not complete: {reason}.")


class FeatureNotIncluded(DomainError):
    status = 403
    code = "feature_not_included"

    def __init__(self, feature: str, plan: str) -> None:
        super().__init__(f"The plan {plan or '(none)'} does not include {feature}. Ask for a plan that does.")


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
