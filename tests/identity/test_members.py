"""What changes a member, and who may."""

from collections.abc import Iterator

import pytest

from apps.governance.errors import ScopeMissing
from apps.governance.selectors import audit_log
from apps.governance.types import Actor
from apps.identity import selectors, services
from apps.identity.errors import (
    InvalidEmail,
    LastOwner,
    MemberExists,
    MemberLimitReached,
    MemberNotFound,
    RoleAboveOwn,
    WeakPassword,
)
from apps.identity.types import Member
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.factories.entitlements import entitle
from tests.factories.people import acting, make_member


@pytest.fixture
def owner(acme: TenantRef) -> Iterator[Member]:
    with in_tenant(acme):
        yield make_member("olga@acme.example", "owner")


def test_a_created_member_is_stored_once_and_audited(owner: Member) -> None:
    made = services.create_member(
        email="  Dev@ACME.example ", role="developer", actor=acting(owner), password="correct horse battery"
    )

    assert (made.email, made.role, made.state) == ("dev@acme.example", "developer", "active")
    assert [member.email for member in selectors.members()] == ["dev@acme.example", "olga@acme.example"]
    entry = audit_log(limit=1)[0]
    assert (entry.action, entry.actor_id, entry.target_id) == ("member.created", str(owner.id), str(made.id))
    assert entry.details == {"email": "dev@acme.example", "role": "developer", "invited": False}


def test_an_address_is_taken_in_any_case(owner: Member) -> None:
    with pytest.raises(MemberExists):
        services.create_member(email="OLGA@acme.example", role="viewer", actor=acting(owner))

    assert len(selectors.members()) == 1


def test_the_same_address_is_another_person_in_another_tenant(owner: Member, globex: TenantRef) -> None:
    with in_tenant(globex):
        twin = make_member("olga@acme.example", "viewer")

        assert [member.id for member in selectors.members()] == [twin.id]
        with pytest.raises(MemberNotFound):
            selectors.member(owner.id)
    assert selectors.member(owner.id).role == "owner"


@pytest.mark.parametrize("email", ["", "nobody", "a@b", "a b@c.example", "a@c.example\nBcc: x@y.example"])
def test_what_is_not_an_address_is_refused(owner: Member, email: str) -> None:
    with pytest.raises(InvalidEmail):
        services.create_member(email=email, role="viewer", actor=acting(owner))

    assert len(selectors.members()) == 1


def test_a_weak_password_is_refused_with_reasons_and_nobody_is_made(owner: Member) -> None:
    with pytest.raises(WeakPassword) as refused:
        services.create_member(email="x@acme.example", role="viewer", actor=acting(owner), password="short")

    assert "at least 12 characters" in refused.value.message
    assert len(selectors.members()) == 1


def test_the_plans_seats_are_the_most_there_can_be(owner: Member) -> None:
    entitle(members=2)
    services.create_member(email="second@acme.example", role="viewer", actor=acting(owner))

    with pytest.raises(MemberLimitReached) as refused:
        services.create_member(email="third@acme.example", role="viewer", actor=acting(owner))

    assert refused.value.details == {"limit": 2}
    assert [member.email for member in selectors.members()] == ["olga@acme.example", "second@acme.example"]


def test_a_seat_is_free_again_when_somebody_is_shut_out(owner: Member) -> None:
    entitle(members=2)
    second = services.create_member(email="second@acme.example", role="viewer", actor=acting(owner))
    services.deactivate_member(member_id=second.id, actor=acting(owner))

    services.create_member(email="third@acme.example", role="viewer", actor=acting(owner))

    with pytest.raises(MemberLimitReached):
        services.reactivate_member(member_id=second.id, actor=acting(owner))
    assert not selectors.member(second.id).is_active


@pytest.mark.parametrize("role", ["developer", "billing", "viewer"])
def test_who_may_not_change_members_changes_none(owner: Member, role: str) -> None:
    weak = make_member("weak@acme.example", role)

    with pytest.raises(ScopeMissing):
        services.create_member(email="new@acme.example", role="viewer", actor=acting(weak))
    with pytest.raises(ScopeMissing):
        services.change_role(member_id=weak.id, role="owner", actor=acting(weak))
    with pytest.raises(ScopeMissing):
        services.deactivate_member(member_id=owner.id, actor=acting(weak))
    with pytest.raises(ScopeMissing):
        services.set_password(member_id=owner.id, password="another long one", actor=acting(weak))

    assert {member.email: member.role for member in selectors.members()} == {
        "olga@acme.example": "owner",
        "weak@acme.example": role,
    }


def test_nobody_gives_or_takes_a_role_above_their_own(owner: Member) -> None:
    admin = make_member("admin@acme.example", "admin")

    with pytest.raises(RoleAboveOwn):
        services.create_member(email="new@acme.example", role="owner", actor=acting(admin))
    with pytest.raises(RoleAboveOwn):
        services.change_role(member_id=admin.id, role="owner", actor=acting(admin))
    with pytest.raises(RoleAboveOwn):
        services.change_role(member_id=owner.id, role="viewer", actor=acting(admin))
    with pytest.raises(RoleAboveOwn):
        services.deactivate_member(member_id=owner.id, actor=acting(admin))
    with pytest.raises(RoleAboveOwn):
        services.set_password(member_id=owner.id, password="a password of mine", actor=acting(admin))

    assert selectors.member(owner.id) == owner
    assert selectors.member(admin.id) == admin


@pytest.mark.parametrize("role", ["platform_admin", "operator", "superuser", "OWNER", ""])
def test_there_are_no_roles_but_ours(owner: Member, role: str) -> None:
    with pytest.raises(ValueError):
        services.create_member(email="new@acme.example", role=role, actor=Actor.system())

    assert len(selectors.members()) == 1


def test_the_last_owner_stays_owner_and_in(owner: Member) -> None:
    make_member("invited@acme.example", "owner", password=None)

    with pytest.raises(LastOwner):
        services.change_role(member_id=owner.id, role="viewer", actor=acting(owner))
    with pytest.raises(LastOwner):
        services.deactivate_member(member_id=owner.id, actor=Actor.system())

    assert selectors.member(owner.id) == owner


def test_an_owner_may_go_when_another_can_sign_in(owner: Member) -> None:
    other = make_member("other@acme.example", "owner")

    services.change_role(member_id=owner.id, role="viewer", actor=acting(other))

    assert selectors.member(owner.id).role == "viewer"
    assert audit_log(limit=1)[0].details == {
        "email": "olga@acme.example",
        "role": "viewer",
        "before": "owner",
        "after": "viewer",
    }


def test_shutting_out_twice_changes_nothing_the_second_time(owner: Member) -> None:
    leaver = make_member("leaver@acme.example", "developer")

    first = services.deactivate_member(member_id=leaver.id, actor=acting(owner))
    second = services.deactivate_member(member_id=leaver.id, actor=acting(owner))

    assert first == second
    assert (first.is_active, first.state) == (False, "disabled")
    assert [entry.action for entry in audit_log(action="member.disabled")] == ["member.disabled"]
