"""Handing over from one secret to the next without a gap."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.governance.services import announce_change, carry_policy, copy_key_budgets, record_audit
from apps.governance.types import Actor
from apps.keys import metrics, rights, selectors
from apps.keys.checking import MOST_OVERLAP, checked_expiry
from apps.keys.describing import limits as limits_on
from apps.keys.errors import InvalidKeySettings
from apps.keys.models import ApiKey
from apps.keys.services.issue import create, usable_row
from apps.keys.types import IssuedKey
from apps.tenancy import services as tenancy

DEFAULT_OVERLAP = timedelta(days=1)


@transaction.atomic
def rotate_key(
    key_id: UUID,
    *,
    actor: Actor,
    overlap: timedelta = DEFAULT_OVERLAP,
    expires_at: datetime | None = None,
    now: datetime | None = None,
) -> IssuedKey:
    """Make a successor with the same rights and return its secret; the old key works on for `overlap`.

    Until then the old one's responses say that it is deprecated; with no overlap it ends now. The successor
    lives as long as the old key was meant to, within the tenant's maximum, unless an expiry is given. Child
    keys stay with the old key and end with it.
    """
    moment = now or timezone.now()
    if not timedelta(0) <= overlap <= MOST_OVERLAP:
        raise InvalidKeySettings(f"The overlap is between 0 seconds and {MOST_OVERLAP.days} days.")
    who = rights.acting(actor)
    tenancy.lock_tenant("keys")
    old = usable_row(key_id, moment)
    grant = rights.Grant(
        scopes=frozenset(old.scopes),
        models_allowed=old.models_allowed,
        addresses_allowed=old.addresses_allowed,
        limits=limits_on(old),
    )
    rights.may_receive(
        who,
        grant,
        environment=old.environment,
        member_id=old.member_id,
        service_account_id=old.service_account_id,
    )
    issued = create(
        actor=actor,
        name=old.name,
        grant=grant,
        issuer_scopes=who.scopes,
        environment=old.environment,
        member_id=old.member_id,
        service_account_id=old.service_account_id,
        expires_at=_successor_expiry(old, expires_at, moment),
        tags=old.tags,
        parent=old.parent,
        now=moment,
        action="key.rotated_in",
    )
    copy_key_budgets(old.pk, issued.key.id, actor=actor)
    ends = min(old.expires_at, moment + overlap)
    ApiKey.objects.filter(pk=old.pk).update(replaced_by_id=issued.key.id, expires_at=ends)
    carry_policy(old.pk, issued.key.id, actor=actor)
    record_audit(
        "key.rotated",
        actor=actor,
        target_kind="key",
        target_id=old.pk,
        details={"name": old.name, "replaced_by": issued.key.id, "works_until": ends},
    )
    announce_change()
    metrics.CHANGED.labels("key.rotated").inc()
    return issued


def _successor_expiry(old: ApiKey, wanted: datetime | None, now: datetime) -> datetime:
    policy = selectors.key_policy()
    if old.parent is not None:
        # A child stays inside its parent's life, whatever it is replaced by.
        return min(wanted or old.expires_at, old.parent.expires_at)
    if wanted is None:
        wanted = now + min(old.expires_at - old.created_at, timedelta(days=policy.maximum_days))
    return checked_expiry(wanted, policy=policy, now=now)
