"""Reading what the tenant in force may use, its budgets and its audit log."""

from uuid import UUID

from apps.governance.answer_caching import answer_cache as answer_cache
from apps.governance.audit_files import as_csv as as_csv
from apps.governance.audit_files import as_jsonl as as_jsonl
from apps.governance.audit_heads import last_head as last_head
from apps.governance.audit_reading import AuditSearch as AuditSearch
from apps.governance.audit_reading import audit_holds as audit_holds
from apps.governance.audit_reading import exported as exported
from apps.governance.audit_reading import search_audit as search_audit
from apps.governance.decision import Granted, grant
from apps.governance.errors import BudgetNotFound
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
from apps.governance.webhooks.events import CHOICES
from apps.governance.webhooks.reading import webhook_deliveries as webhook_deliveries
from apps.governance.webhooks.reading import webhook_delivery as webhook_delivery
from apps.governance.webhooks.reading import webhook_endpoint as webhook_endpoint
from apps.governance.webhooks.reading import webhook_endpoints as webhook_endpoints

# What an endpoint can be told of, by name.
WEBHOOK_EVENTS = tuple(event.value for event in CHOICES)


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


def budgets(
    *,
    level: str = "",
    subject_id: UUID | None = None,
    after: UUID | None = None,
    limit: int | None = None,
) -> list[TenantBudget]:
    """The budgets the tenant set itself, oldest first, after one's id; filters add up."""
    rows = Budget.objects.order_by("id")
    if level:
        rows = rows.filter(level=level)
    if subject_id is not None:
        rows = rows.filter(subject_id=subject_id)
    if after is not None:
        rows = rows.filter(id__gt=after)
    return [budget_record(row) for row in (rows if limit is None else rows[:limit])]


def budget(budget_id: UUID) -> TenantBudget:
    """One budget; BudgetNotFound otherwise."""
    row = Budget.objects.filter(pk=budget_id).first()
    if row is None:
        raise BudgetNotFound
    return budget_record(row)


def budget_record(row: Budget) -> TenantBudget:
    """A budget's row as other apps hold it."""
    return TenantBudget(
        id=row.id,
        level=row.level,
        subject_id=row.subject_id,
        unit=row.unit,
        window=row.window,
        amount=row.amount,
        hard=row.hard,
        alert_at=tuple(row.alert_at),
        shadow=row.shadow,
        created_by=row.created_by,
    )


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
