"""What can go wrong with tenants."""

from apps.errors import DomainError


class NoTenantInForce(RuntimeError):
    """Code asked for tenant data without saying whose. A bug, never a customer's mistake."""

    def __init__(self) -> None:
        super().__init__(
            "No tenant is in force. Enter one with apps.tenancy.services.in_tenant(…), "
            "or say in_public() where shared tables are meant."
        )


class TenantNotReady(DomainError):
    status = 404
    code = "tenant_not_ready"

    def __init__(self, slug: str) -> None:
        super().__init__(f"Tenant {slug} is not ready to be served.")


class TenantNotFound(DomainError):
    status = 404
    code = "tenant_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no tenant {name}.")


class SlugTaken(DomainError):
    status = 409
    code = "slug_taken"

    def __init__(self, slug: str) -> None:
        super().__init__(f"A tenant with the slug {slug} exists already. Choose another slug.")


class InvalidSlug(DomainError):
    status = 400
    code = "invalid_slug"

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"{slug!r} cannot be a slug. Use 2 to 40 lower-case letters, digits or hyphens, beginning with a "
            "letter, that are not a reserved name."
        )


class WrongState(DomainError):
    status = 409
    code = "wrong_tenant_state"

    def __init__(self, slug: str, state: str, wanted: str) -> None:
        super().__init__(f"Tenant {slug} is {state}; that can only be done to one that is {wanted}.")
