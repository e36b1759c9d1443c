"""Rotation, changes and what time does to keys."""

import random
import threading
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.errors import DomainError
from apps.governance.selectors import audit_log
from apps.governance.types import Actor
from apps.jobs.models import WorkTicket
from apps.keys import selectors, services, tasks
from apps.keys.errors import InvalidKeySettings, KeyNotFound, KeyNotUsable, NotYourKey
from apps.keys.models import ApiKey, IdempotentWrite
from apps.keys.types import KeyPolicy, KeyState, KeyUse
from apps.tenancy.services import in_tenant
from tests.factories.keys import as_key, as_member, make_key, make_member, make_service_account

SYSTEM = Actor.system("tests")


def used(key_id: Any, at: datetime, address: str = "192.0.2.1", agent: str = "x") -> KeyUse:
    return KeyUse(key_id=key_id, at=at, address=address, agent=agent)


def age(key_id: Any, days: int) -> None:
    ApiKey.objects.filter(pk=key_id).update(created_at=timezone.now() - timedelta(days=days))


def test_a_rotation_lives_as_long_as_the_old_key_was_meant_to(tenant: Any) -> None:
    now = timezone.now()
    old = make_key(expires_at=now + timedelta(days=10), now=now).key
    later = now + timedelta(days=9)

    new = services.rotate_key(old.id, actor=SYSTEM, overlap=timedelta(days=30), now=later).key

    assert new.expires_at == later + timedelta(days=10)
    # The overlap never makes the old key live longer.
    assert selectors.key(old.id).expires_at == now + timedelta(days=10)


def test_rotating_without_overlap_ends_the_old_key_at_once(tenant: Any) -> None:
    now = timezone.now()
    old = make_key(now=now).key

    services.rotate_key(old.id, actor=SYSTEM, overlap=timedelta(0), now=now)

    assert selectors.key(old.id, now=now).state is KeyState.EXPIRED


def test_the_chain_of_rotations_is_shown_with_last_uses(tenant: Any) -> None:
    first = make_key().key
    second = services.rotate_key(first.id, actor=SYSTEM).key
    third = services.rotate_key(second.id, actor=SYSTEM).key
    services.record_use([used(first.id, timezone.now())])

    detail = selectors.key_detail(third.id)

    assert [link.id for link in detail.replaces] == [second.id, first.id]
    assert [link.last_used_at is None for link in detail.replaces] == [True, False]
    assert {link.state for link in detail.replaces} == {KeyState.DEPRECATED}


def test_of_eight_rotations_at_once_one_succeeds(committing: Any) -> None:
    with in_tenant(committing):
        key = make_key(service_account_id=make_service_account().id).key
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def rotate() -> None:
        start.wait()
        try:
            with in_tenant(committing):
                services.rotate_key(key.id, actor=SYSTEM)
            outcomes.append("rotated")
        except KeyNotUsable:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused"] * 7 + ["rotated"]
    with in_tenant(committing):
        assert len(selectors.keys()) == 2


def test_a_rotated_childs_successor_stays_inside_the_parents_life(tenant: Any) -> None:
    parent = make_key()
    child = services.issue_child_key(parent.key.id, actor=SYSTEM, name="child")

    successor = services.rotate_key(child.key.id, actor=SYSTEM, expires_at=parent.key.expires_at).key

    assert successor.parent_id == parent.key.id
    assert successor.expires_at == parent.key.expires_at


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=30, seconds=1)])
def test_an_overlap_out_of_bounds_is_refused(tenant: Any, overlap: timedelta) -> None:
    key = make_key().key

    with pytest.raises(InvalidKeySettings):
        services.rotate_key(key.id, actor=SYSTEM, overlap=overlap)

    assert len(selectors.keys()) == 1


def test_what_is_ended_cannot_be_changed_rotated_enabled_or_have_children(tenant: Any) -> None:
    key = make_key().key
    services.revoke_key(key.id, actor=SYSTEM)

    for act in (
        lambda: services.rotate_key(key.id, actor=SYSTEM),
        lambda: services.restrict_key(key.id, actor=SYSTEM, name="x"),
        lambda: services.enable_key(key.id, actor=SYSTEM),
        lambda: services.disable_key(key.id, actor=SYSTEM),
        lambda: services.issue_child_key(key.id, actor=SYSTEM, name="x"),
    ):
        with pytest.raises(KeyNotUsable):
            act()


def test_nothing_is_done_to_a_key_that_is_not_there(tenant: Any) -> None:
    for act in (
        services.rotate_key,
        services.enable_key,
        services.disable_key,
        services.revoke_key,
        services.restrict_key,
    ):
        with pytest.raises(KeyNotFound):
            act(uuid4(), actor=SYSTEM)


def test_a_change_that_changes_nothing_leaves_no_entry(tenant: Any) -> None:
    key = make_key(addresses_allowed=["10.0.0.0/8"]).key

    services.restrict_key(key.id, actor=SYSTEM, name="first", addresses_allowed=["10.1.2.3/8"])
    services.enable_key(key.id, actor=SYSTEM)

    assert [entry.action for entry in audit_log(target_id=str(key.id))] == ["key.issued"]


def test_each_kind_of_actor_manages_what_is_its_own(tenant: Any) -> None:
    make_member("owner")
    dev, other, admin = (
        make_member("developer"),
        make_member("developer", email="o@example.com"),
        make_member("admin"),
    )
    mine, account_key = make_key(as_member(dev)), make_key(service_account_id=make_service_account().id)
    sibling = make_key(as_member(dev), name="sibling", scopes=["keys:write"])

    services.disable_key(mine.key.id, actor=as_member(dev))
    services.enable_key(mine.key.id, actor=as_key(sibling))
    services.disable_key(account_key.key.id, actor=as_member(other))
    services.disable_key(mine.key.id, actor=as_member(admin))
    with pytest.raises(NotYourKey):
        services.enable_key(mine.key.id, actor=as_member(other))
    with pytest.raises(NotYourKey):
        services.rotate_key(sibling.key.id, actor=as_member(admin))
    with pytest.raises(DomainError) as refused:
        services.enable_key(mine.key.id, actor=as_member(make_member("viewer")))
    assert refused.value.code == "scope_missing"


def test_use_is_written_in_one_statement_and_never_moves_back(
    tenant: Any, django_assert_num_queries: Any
) -> None:
    first, second, now = make_key().key, make_key(name="second").key, timezone.now()
    reports = [
        used(first.id, now), used(first.id, now - timedelta(minutes=5), "192.0.2.9"),
        used(second.id, now - timedelta(minutes=1), agent="\x1b[31mred\r\n" + "x" * 300), used(uuid4(), now),
    ]  # fmt: skip
    random.shuffle(reports)

    with django_assert_num_queries(1):
        services.record_use(reports)
    services.record_use([used(first.id, now - timedelta(days=1), "192.0.2.8")])
    services.record_use([])

    shown = selectors.key(first.id)
    assert (shown.last_used_at, shown.last_used_address) == (now, "192.0.2.1")
    assert selectors.key(second.id).last_used_agent == " [31mred  " + "x" * 190


def test_a_use_does_not_wait_for_somebody_who_holds_the_key(committing: Any) -> None:
    with in_tenant(committing):
        key = make_key(service_account_id=make_service_account().id).key
    released, holding = threading.Event(), threading.Event()

    def hold() -> None:
        with in_tenant(committing), transaction.atomic():
            ApiKey.objects.select_for_update().get(pk=key.id)
            holding.set()
            released.wait(10)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    with in_tenant(committing):
        services.record_use([used(key.id, timezone.now())])
        assert selectors.key(key.id).last_used_at is None
        released.set()
        thread.join()
        services.record_use([used(key.id, timezone.now())])
        assert selectors.key(key.id).last_used_at is not None


def test_unused_keys_are_warned_about_then_disabled_and_used_ones_left_alone(tenant: Any) -> None:
    member, now = make_member("developer"), timezone.now()
    idle, gone = make_key(as_member(member), name="idle").key, make_key(as_member(member), name="gone").key
    busy, fresh = make_key(as_member(member), name="busy").key, make_key(as_member(member), name="fresh").key
    for key, days in ((idle, 61), (gone, 91), (busy, 200)):
        age(key.id, days)
    services.record_use([used(busy.id, now - timedelta(days=1))])

    assert services.retire_unused_keys(now=now) == (1, 1)
    assert services.retire_unused_keys(now=now) == (0, 0)

    assert selectors.key(gone.id).state is KeyState.DISABLED
    assert selectors.key(gone.id).disabled_reason == "Not used for 90 days."
    for key in (idle, busy, fresh):
        assert selectors.key(key.id).state is KeyState.ACTIVE
    ticket = WorkTicket.objects.get(kind="keys.warn_of_unused")
    assert ticket.payload == {"key_id": str(idle.id)}
    tasks.warn_of_unused(**ticket.payload)
    assert [message.to for message in mail.outbox] == [[member.email]]
    assert '"idle"' in mail.outbox[0].body and "61 days" in mail.outbox[0].body

    services.enable_key(gone.id, actor=as_member(member))
    assert services.retire_unused_keys(now=now) == (0, 0)


def test_a_tenant_that_wants_no_retirement_has_none(tenant: Any) -> None:
    key = make_key().key
    age(key.id, 300)
    services.set_key_policy(KeyPolicy(warn_unused_days=None, disable_unused_days=None), actor=SYSTEM)

    assert services.retire_unused_keys(now=timezone.now()) == (0, 0)


def test_every_tenant_is_looked_after_by_a_ticket_of_its_own(tenant: Any, globex: Any) -> None:
    tasks.look_after_all()
    tasks.look_after_all()

    asked = WorkTicket.objects.filter(kind="keys.look_after", tenant_id__in=[tenant.id, globex.id])
    assert sorted(asked.values_list("tenant_id", flat=True)) == sorted([tenant.id, globex.id])
    tasks.look_after()


def test_kept_answers_are_forgotten_after_a_day(tenant: Any) -> None:
    key, now = make_key().key, timezone.now()
    for word, hours in (("old", 25), ("new", 23)):
        IdempotentWrite.objects.create(
            key_id=key.id, word=word, fingerprint=b"x" * 32, status=201, answer=b"x",
            created_at=now - timedelta(hours=hours),
        )  # fmt: skip

    assert services.purge_idempotent_writes(now=now) == 1
    assert [kept.word for kept in IdempotentWrite.objects.all()] == ["new"]


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["usage:read"], "issuer_scopes": ["usage:read"]},
        {"environment": "test"},
    ],
)
def test_the_database_itself_keeps_a_child_within_its_parent(tenant: Any, change: dict[str, Any]) -> None:
    parent = make_key(scopes=["inference:write"])
    child = services.issue_child_key(parent.key.id, actor=SYSTEM, name="child").key

    with pytest.raises(IntegrityError, match="no more than its parent"), transaction.atomic():
        ApiKey.objects.filter(pk=child.id).update(**change)
    with pytest.raises(IntegrityError, match="no more than its parent"), transaction.atomic():
        ApiKey.objects.filter(pk=make_key(name="grandchild").key.id).update(parent_id=child.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=parent.key.id).update(parent_id=parent.key.id)
