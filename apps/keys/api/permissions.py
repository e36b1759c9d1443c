"""What a key may do: the view's scope, the plan's feature, its environment, a tenant in good standing."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission

from apps.governance.errors import ScopeMissing
from apps.governance.gates import check_gate, gate_of
from apps.identity.errors import TenantIsSuspended
from apps.keys.errors import WrongEnvironment
from apps.keys.types import Principal
from apps.tenancy.selectors import suspension_reason
from apps.tenancy.types import TenantState


class DeclaredScopes(BasePermission):
    """Closed by default: a view that declares no scope for a method is refused, so forgetting is safe."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the key may enter; a refusal that can be explained is raised with its reason."""
        method = "GET" if request.method == "HEAD" else request.method
        if getattr(view, method.lower(), None) is None or method.lower() not in view.http_method_names:
            return True  # there is no such handler; DRF answers 405
        declared = getattr(view, "scopes", {})
        principal = request.auth
        if method not in declared or not getattr(view, "enters_tenant", False):
            return False
        if not isinstance(principal, Principal):
            return False
        needed = declared[method]
        if needed is not None and needed not in principal.scopes:
            raise ScopeMissing(needed)
        if principal.environment not in view.environments:
            raise WrongEnvironment(principal.environment)
        suspended = principal.tenant.state is TenantState.SUSPENDED
        if suspended and method not in SAFE_METHODS and not view.while_suspended:
            raise TenantIsSuspended(suspension_reason(principal.tenant.id))
        return True


class InPlan(BasePermission):
    """The plan of the key's tenant includes what the view belongs to, and what the key itself is."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Always True or FeatureNotIncluded: a view that belongs to every plan lets every plan in."""
        principal = request.auth
        if isinstance(principal, Principal):
            check_gate(gate_of(getattr(view, "feature", None), request.method))
            for gate in principal.gates:
                check_gate(gate)
        return True
