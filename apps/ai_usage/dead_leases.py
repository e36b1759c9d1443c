"""Money that calls of dead processes still hold, given back also where nobody calls who would stumble over it."""

from collections.abc import Sequence

from django.conf import settings
from django.db.models import F, Sum

from apps.ai_usage.models import UsageEvent
from apps.governance.admission.blocking import BlockingAdmission
from apps.governance.admission.errors import ValkeyUnavailable
from apps.governance.admission.types import SettleStatus, Used, to_nano
from apps.governance.services import admission
from apps.tenancy.selectors import all_tenants
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef

# A lease that has just run out may be a slow process's, which is about to settle it itself.
_GRACE_MS = 5_000
_AT_ONCE = 500


def end_expired_leases() -> int:
    """End leases past their time with what the ledger has for them, over all tenants. Returns how many ended.

    Safe at any time and twice at once: a lease ends once, and an owner that settles late after all has its
    counters read from the ledger again.
    """
    engine = admission(settings.VALKEY_URL)
    ended = 0
    try:
        tenants = all_tenants()
        for start in range(0, len(tenants), _AT_ONCE):
            by_id = {tenant.id: tenant for tenant in tenants[start : start + _AT_ONCE]}
            for tenant_id, calls in engine.expired(list(by_id), since_ms=_GRACE_MS).items():
                ended += _end(engine, by_id[tenant_id], calls)
    except ValkeyUnavailable:
        return ended  # nothing is held where nothing is; the next round looks again
    return ended


def _end(engine: BlockingAdmission, tenant: TenantRef, calls: Sequence[str]) -> int:
    with in_tenant(tenant):
        rows = (
            UsageEvent.objects.filter(call_id__in=calls)
            .values("call_id")
            .annotate(total=Sum("price"), tokens=Sum(F("input_tokens") + F("output_tokens")))
        )
        amounts = {row["call_id"].hex: Used(to_nano(row["total"]), row["tokens"]) for row in rows}
    answers = [engine.resolve(tenant.id, call, amounts.get(call, 0)) for call in calls]
    return answers.count(SettleStatus.SETTLED)
