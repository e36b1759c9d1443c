"""Reading what the tenant in force may use, its budgets and its audit log."""

from apps.governance.decision import Granted, grant
from apps.governance.features import FEATURES
from apps.governance.models import AuditEntry, Budget
from apps.governance.models import Entitlements as EntitlementsRow
from apps.governance.policies.reading import default_policy_bounds as default_policy_bounds
from apps.governance.policies.reading import own_policy_bounds as own_policy_bounds
from apps.governance.policies.reading import policies_of_key as policies_of_key
from apps.governance.policies.reading import policies_of_tenant as policies_of_tenant
from apps.governance.policies.reading import policy_bounds as policy_bounds
from apps.governance.policies.reading import policy_version as policy_version
from apps.governance.policies.reading import policy_versions as policy_versions
from apps.governance.policies.reading import standing_policies as standing_policies
from apps.governance.policies.reading import standing_policy as standing_policy
from apps.governance.types import NOTHING_BOUGHT, AuditRecord, Entitlements, TenantBudget
from apps.governance.webhooks.reading import webhook_deliveries as webhook_deliveries
from apps.governance.webhooks.reading import webhook_delivery as webhook_delivery
from apps.governance.webhooks.reading import webhook_endpoint as webhook_endpoint
from apps.governance.webhooks.reading import webhook_endpoints as webhook_endpoints


def entitlements() -> Entitlements:
    """What the tenant in force may use now; NOTHING_BOUGHT where nothing was published yet."""
    row = EntitlementsRow.objects.filter(pk=1).first()
    return Entitlements.from_json(row.snapshot) if row else NOTHING_BOUGHT


def limit(name: str) -> int | None:
    """One whole-number limit of the tenant in force; None where it has none."""
    return entitlements().limit(name)


def granted_features() -> list[Granted]:
    """Everything that a plan can grant, as the tenant in force has it, and where each value is from."""
    entitled = entitlements()
    return [grant(entitled, feature) for feature in FEATURES.values()]


def budgets() -> list[TenantBudget]:
    """The budgets the tenant set itself, oldest first."""
    return [
        TenantBudget(
            id=row.id,
            level=row.level,
            subject_id=row.subject_id,
            unit=row.unit,
            window=row.window,
            amount=row.amount,
            hard=row.hard,
            alert_at=tuple(row.alert_at),
        )
        for row in Budget.objects.order_by("created_at")
    ]


def audit_log(
    *, before: int | None = None, action: str = "", target_id: str = "", limit: int = 50
) -> list[AuditRecord]:
    """Newest entries first, before a sequence number, optionally of one action or `area.` prefix, or of one target."""
    rows = AuditEntry.objects.order_by("-sequence")
    if before is not None:
        rows = rows.filter(sequence__lt=before)
    if action:
        rows = rows.filter(action__startswith=action)
    if target_id:
        rows = rows.filter(target_id=target_id)
    return [
        AuditRecord(**{name: getattr(row, name) for name in AuditRecord.__dataclass_fields__})
        for row in rows[:limit]
    ]
