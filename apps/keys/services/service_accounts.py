"""Service accounts: programs that own keys."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.governance.services import announce_change, check_gate, record_audit
from apps.governance.types import Actor
from apps.keys import rights, selectors
from apps.keys.checking import checked_name
from apps.keys.errors import InvalidKeySettings, ServiceAccountNameTaken, ServiceAccountNotFound
from apps.keys.models import ServiceAccount as ServiceAccountRow
from apps.keys.types import ServiceAccount
from apps.tenancy import services as tenancy


@transaction.atomic
def create_service_account(*, actor: Actor, name: str, description: str = "") -> ServiceAccount:
    """Make a service account. Its keys get their rights one by one, from whoever issues them."""
    rights.may_manage_accounts(rights.acting(actor))
    check_gate("service_accounts")
    wanted = checked_name(name)
    if len(description) > 300 or not description.replace("\n", " ").replace("\r", " ").isprintable():
        raise InvalidKeySettings("A description has at most 300 printable characters.")
    tenancy.lock_tenant("service_accounts")
    if ServiceAccountRow.objects.filter(name__iexact=wanted).exists():
        raise ServiceAccountNameTaken(wanted)
    row = ServiceAccountRow.objects.create(name=wanted, description=description.strip())
    _note("service_account.created", row, actor)
    return selectors.service_account(row.pk)


@transaction.atomic
def disable_service_account(account_id: UUID, *, actor: Actor, now: datetime | None = None) -> ServiceAccount:
    """Refuse all of a service account's keys from the next request on. Doing it twice changes nothing."""
    row = _locked(account_id, actor)
    if row.disabled_at is None:
        row.disabled_at = now or timezone.now()
        row.save(update_fields=["disabled_at"])
        _note("service_account.disabled", row, actor)
    return selectors.service_account(row.pk)


@transaction.atomic
def enable_service_account(account_id: UUID, *, actor: Actor) -> ServiceAccount:
    """Let a service account's keys work again, those that are not ended themselves."""
    row = _locked(account_id, actor)
    if row.disabled_at is not None:
        row.disabled_at = None
        row.save(update_fields=["disabled_at"])
        _note("service_account.enabled", row, actor)
    return selectors.service_account(row.pk)


def _locked(account_id: UUID, actor: Actor) -> ServiceAccountRow:
    rights.may_manage_accounts(rights.acting(actor))
    row = ServiceAccountRow.objects.select_for_update().filter(pk=account_id).first()
    if row is None:
        raise ServiceAccountNotFound
    return row


def _note(action: str, row: ServiceAccountRow, actor: Actor) -> None:
    record_audit(
        action, actor=actor, target_kind="service_account", target_id=row.pk, details={"name": row.name}
    )
    announce_change()
