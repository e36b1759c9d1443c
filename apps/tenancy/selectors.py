"""Reading tenants: the one in force, and the one behind a host, a slug or a key's fragment."""

from uuid import UUID

from apps.tenancy import context
from apps.tenancy.errors import NoTenantInForce, TenantNotFound
from apps.tenancy.hosts import tenant_for_host as tenant_for_host
from apps.tenancy.models import Domain, Tenant
from apps.tenancy.types import TenantRef, TenantState


def current_tenant() -> TenantRef:
    """The tenant in force; NoTenantInForce outside one, also in public."""
    tenant = context.scope().tenant
    if tenant is None:
        raise NoTenantInForce
    return tenant


def current_tenant_or_none() -> TenantRef | None:
    """For logs, traces and metrics, which must not fail where there is no tenant."""
    return context.tenant_or_none()


def tenant_by_id(tenant_id: UUID) -> TenantRef:
    """The tenant with this id, in whatever state; TenantNotFound otherwise."""
    return _one(str(tenant_id), id=tenant_id)


def tenant_by_slug(slug: str) -> TenantRef:
    """The tenant with this slug, in whatever state; TenantNotFound otherwise."""
    return _one(slug, slug=slug)


def tenant_by_ref(ref: str) -> TenantRef | None:
    """The tenant whose API keys carry this fragment, if there is one."""
    with context.in_public():
        found = Tenant.objects.filter(ref=ref).first()
    return found.as_ref() if found else None


def suspension_reason(tenant_id: UUID) -> str:
    """What the operator wrote when suspending the tenant; empty unless suspended."""
    with context.in_public():
        return Tenant.objects.values_list("suspended_reason", flat=True).get(id=tenant_id)


def all_tenants(*states: TenantState) -> list[TenantRef]:
    """Every tenant in one of the states (default: those whose schema is whole), by slug."""
    wanted = states or (TenantState.READY, TenantState.SUSPENDED)
    with context.in_public():
        return [tenant.as_ref() for tenant in Tenant.objects.filter(state__in=wanted)]


def hosts_of(tenant_id: UUID) -> list[str]:
    """Every host of a tenant, by name."""
    with context.in_public():
        return list(
            Domain.objects.filter(tenant_id=tenant_id).order_by("domain").values_list("domain", flat=True)
        )


def primary_domain(tenant_id: UUID) -> str:
    """The host on which a tenant's links are made."""
    with context.in_public():
        return Domain.objects.values_list("domain", flat=True).get(tenant_id=tenant_id, is_primary=True)


def _one(said: str, **by: object) -> TenantRef:
    with context.in_public():
        found = Tenant.objects.filter(**by).first()
    if found is None:
        raise TenantNotFound(said)
    return found.as_ref()
