"""Everything that changes what a tenant may do, and the entries that say who did."""

from datetime import timedelta

from django.db import transaction

from apps.governance.announcing import admission as admission
from apps.governance.announcing import announce_change as announce_change
from apps.governance.answer_caching import set_answer_cache as set_answer_cache
from apps.governance.audit import record_audit as record_audit
from apps.governance.audit import record_operator_audit as record_operator_audit
from apps.governance.audit_heads import heads_of_tenant as heads_of_tenant
from apps.governance.audit_heads import sign_head as sign_head
from apps.governance.audit_keeping import lift_audit_hold as lift_audit_hold
from apps.governance.audit_keeping import remove_expired_audit as remove_expired_audit
from apps.governance.audit_keeping import set_audit_hold as set_audit_hold
from apps.governance.audit_reading import begin_export as begin_export
from apps.governance.audit_verify import verify_log as verify_log
from apps.governance.budgeting import change_budget as change_budget
from apps.governance.budgeting import copy_key_budgets as copy_key_budgets
from apps.governance.budgeting import create_budget as create_budget
from apps.governance.budgeting import delete_budget as delete_budget
from apps.governance.gates import check_gate as check_gate
from apps.governance.gates import gated_task as gated_task
from apps.governance.gates import may as may
from apps.governance.models import Entitlements as EntitlementsRow
from apps.governance.policies.saving import carry_policy as carry_policy
from apps.governance.policies.saving import looser_than_above as looser_than_above
from apps.governance.policies.saving import remove_policy as remove_policy
from apps.governance.policies.saving import restore_policy as restore_policy
from apps.governance.policies.saving import save_policy as save_policy
from apps.governance.policies.saving import set_bounds as set_bounds
from apps.governance.policies.saving import set_default_bounds as set_default_bounds
from apps.governance.types import Actor, Entitlements
from apps.governance.webhooks.managing import change_webhook as change_webhook
from apps.governance.webhooks.managing import create_webhook as create_webhook
from apps.governance.webhooks.managing import delete_webhook as delete_webhook
from apps.governance.webhooks.managing import disable_webhook as disable_webhook
from apps.governance.webhooks.managing import enable_webhook as enable_webhook
from apps.governance.webhooks.managing import replay_failed_webhooks as replay_failed_webhooks
from apps.governance.webhooks.managing import replay_webhook_audit as replay_webhook_audit
from apps.governance.webhooks.managing import replay_webhook_delivery as replay_webhook_delivery
from apps.governance.webhooks.managing import rotate_webhook_secret as rotate_webhook_secret
from apps.governance.webhooks.managing import send_webhook_test as send_webhook_test
from apps.governance.webhooks.outbox import emit as emit
from apps.tenancy import services as tenancy
from apps.tenancy.types import TenantRef


@transaction.atomic
def publish_entitlements(entitlements: Entitlements, *, actor: Actor) -> None:
    """Make this what the tenant in force may use, from the next request on, on every process. Control plane."""
    row = EntitlementsRow.objects.select_for_update().filter(pk=1).first()
    stored = entitlements.to_json()
    if row is None:
        EntitlementsRow.objects.create(snapshot=stored)
    elif row.snapshot == stored:
        return
    else:
        row.version += 1
        row.snapshot = stored
        row.save()
    record_audit(
        "entitlements.published",
        actor=actor,
        target_kind="plan",
        target_id=entitlements.plan,
        details={"standing": entitlements.standing.value, "plan_version": entitlements.plan_version},
    )
    announce_change()


def suspend_tenant(tenant: TenantRef, *, reason: str, actor: Actor) -> TenantRef:
    """Refuse the tenant's calls and changes from the next request on; its people still sign in and read."""
    with tenancy.in_tenant(tenant), transaction.atomic():
        suspended = tenancy.set_suspended(tenant, reason=reason)
        record_audit(
            "tenant.suspended",
            actor=actor,
            target_kind="tenant",
            target_id=tenant.id,
            details={"reason": reason},
        )
        announce_change()
    return suspended


def resume_tenant(tenant: TenantRef, *, reason: str, actor: Actor) -> TenantRef:
    """Serve a suspended tenant again from the next request on."""
    with tenancy.in_tenant(tenant), transaction.atomic():
        resumed = tenancy.set_resumed(tenant)
        record_audit(
            "tenant.resumed",
            actor=actor,
            target_kind="tenant",
            target_id=tenant.id,
            details={"reason": reason},
        )
        announce_change()
    return resumed


def delete_tenant(tenant: TenantRef, *, reason: str, grace: timedelta, actor: Actor) -> TenantRef:
    """Stop serving the tenant at once and erase its data when the grace time has passed."""
    with tenancy.in_tenant(tenant), transaction.atomic():
        record_audit(
            "tenant.deletion_requested",
            actor=actor,
            target_kind="tenant",
            target_id=tenant.id,
            details={"reason": reason},
        )
        deleting = tenancy.set_deleting(tenant, grace=grace)
        announce_change()
    return deleting
