"""Reading keys and service accounts of the tenant in force, and recognising the key that a request brings."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q
from django.utils import timezone

from apps.errors import DomainError
from apps.governance.types import Actor
from apps.identity.addresses import address_behind_proxies as address_behind_proxies
from apps.identity.selectors import member_names
from apps.keys import rights
from apps.keys.authentication import authenticate as authenticate
from apps.keys.authentication import load_principal as load_principal
from apps.keys.authentication import notices as notices
from apps.keys.authentication import presented_secret as presented_secret
from apps.keys.authentication import verify as verify
from apps.keys.authentication import why_not_now as why_not_now
from apps.keys.describing import account_record, describe, link, policy_record
from apps.keys.errors import KeyNotFound, ServiceAccountNotFound
from apps.keys.models import ApiKey
from apps.keys.models import KeyPolicy as KeyPolicyRow
from apps.keys.models import ServiceAccount as ServiceAccountRow
from apps.keys.tokens import ParsedKey as ParsedKey
from apps.keys.tokens import parse as parse
from apps.keys.types import Key, KeyDetail, KeyPolicy, ServiceAccount

_LONGEST_CHAIN = 20


def keys(
    *,
    before: UUID | None = None,
    limit: int = 50,
    environment: str = "",
    member_id: UUID | None = None,
    service_account_id: UUID | None = None,
    parent_id: UUID | None = None,
    only_living: bool = False,
    now: datetime | None = None,
) -> list[Key]:
    """Newest first, before a key's id; filters add up."""
    moment = now or timezone.now()
    rows = ApiKey.objects.with_context()
    if only_living:
        rows = rows.living(moment)
    if environment:
        rows = rows.filter(environment=environment)
    if member_id:
        rows = rows.filter(member_id=member_id)
    if service_account_id:
        rows = rows.filter(service_account_id=service_account_id)
    if parent_id:
        rows = rows.filter(parent_id=parent_id)
    if before:
        rows = rows.filter(id__lt=before)
    return [describe(row, moment) for row in rows[:limit]]


def key(key_id: UUID, *, now: datetime | None = None) -> Key:
    """One key by its row's id; KeyNotFound otherwise."""
    return describe(_row(key_id), now or timezone.now())


def key_detail(key_id: UUID, *, now: datetime | None = None) -> KeyDetail:
    """One key with its rotations, parent and children, each with its last use: who still uses the old one?"""
    moment = now or timezone.now()
    row = _row(key_id)
    successor = ApiKey.objects.with_context().get(pk=row.replaced_by_id) if row.replaced_by_id else None
    return KeyDetail(
        key=describe(row, moment),
        replaces=tuple(link(old, moment) for old in _predecessors(row)),
        replaced_by=link(successor, moment) if successor else None,
        parent=link(row.parent, moment) if row.parent else None,
        children=tuple(
            link(child, moment) for child in ApiKey.objects.with_context().filter(parent_id=row.pk)[:200]
        ),
    )


def key_by_public_id(key_id: str, *, now: datetime | None = None) -> Key:
    """One key by the keyid10 in its secret; KeyNotFound otherwise."""
    row = ApiKey.objects.with_context().filter(key_id=key_id).first()
    if row is None:
        raise KeyNotFound
    return describe(row, now or timezone.now())


def family_of(key_id: UUID) -> UUID:
    """The first key of the chain of rotations that a key stands in: what is one caller over time."""
    first = key_id
    for _ in range(_LONGEST_CHAIN):
        older = ApiKey.objects.filter(replaced_by_id=first).values_list("pk", flat=True).first()
        if older is None:
            break
        first = older
    return first


def may_be_managed_by(actor: Actor, key_id: UUID) -> bool:
    """Whether an actor may change a key: its own, a service account's, or everybody's."""
    try:
        rights.may_manage(rights.acting(actor), _row(key_id))
    except DomainError:
        return False
    return True


def key_names(ids: Iterable[UUID]) -> dict[UUID, str]:
    """Names by id, for lists of calls and usage that store ids."""
    return dict(ApiKey.objects.filter(pk__in=set(ids)).values_list("pk", "name"))


def owner_names(ids: Iterable[UUID]) -> dict[UUID, str]:
    """What owners of keys are called, members and service accounts alike; ids of nobody are left out."""
    wanted = set(ids)
    accounts = dict(ServiceAccountRow.objects.filter(pk__in=wanted).values_list("pk", "name"))
    people = wanted - accounts.keys()
    return accounts | (member_names(people) if people else {})


def keys_in_use(*, now: datetime | None = None) -> int:
    """How many of the plan's places for keys are taken."""
    return ApiKey.objects.counted(now or timezone.now()).count()


def service_accounts(*, before: UUID | None = None, limit: int = 50) -> list[ServiceAccount]:
    """Newest first, with how many usable keys each has."""
    rows = _accounts()
    if before:
        rows = rows.filter(id__lt=before)
    return [account_record(row) for row in rows.order_by("-id")[:limit]]


def service_account(account_id: UUID) -> ServiceAccount:
    """One service account; ServiceAccountNotFound otherwise."""
    row = _accounts().filter(pk=account_id).first()
    if row is None:
        raise ServiceAccountNotFound
    return account_record(row)


def key_policy() -> KeyPolicy:
    """What the tenant asks of all its keys."""
    return policy_record(KeyPolicyRow.objects.filter(pk=1).first())


def _accounts():  # type: ignore[no-untyped-def]  # django-stubs has no name for an annotated queryset
    usable = Q(keys__revoked_at=None, keys__disabled_at=None, keys__expires_at__gt=timezone.now())
    return ServiceAccountRow.objects.annotate(usable_keys=Count("keys", filter=usable))


def _row(key_id: UUID) -> ApiKey:
    row = ApiKey.objects.with_context().filter(pk=key_id).first()
    if row is None:
        raise KeyNotFound
    return row


def _predecessors(row: ApiKey) -> Iterable[ApiKey]:
    for _ in range(_LONGEST_CHAIN):
        older = ApiKey.objects.with_context().filter(replaced_by_id=row.pk).first()
        if older is None:
            return
        yield older
        row = older
