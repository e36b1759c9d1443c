"""Who may make which key."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.errors import DomainError
from apps.governance.selectors import audit_log
from apps.governance.types import Actor
from apps.keys import selectors, services
from apps.keys.errors import (
    InvalidKeySettings,
    InvalidNetwork,
    KeyAlreadyIssued,
    KeyLifetimeTooLong,
    KeyLimitReached,
    NotYourKey,
    ScopeNotHeld,
    ServiceAccountDisabled,
    ServiceAccountNotFound,
    UnknownScope,
    WiderThanParent,
    WrongEnvironment,
)
from apps.keys.models import ApiKey
from apps.keys.selectors import keys as list_keys
from apps.keys.tokens import parse
from apps.keys.types import KeyLimits, KeyState, OwnerKind
from apps.tenancy.services import in_tenant
from tests.factories.keys import (
    as_key,
    as_member,
    limit_keys,
    make_key,
    make_member,
    make_service_account,
    principal_of,
)


def test_a_member_issues_a_key_of_its_own_and_sees_the_secret_once(tenant: Any) -> None:
    member = make_member("developer")

    issued = services.issue_key(
        actor=as_member(member),
        name=" checkout ",
        scopes=["usage:read", "inference:write"],
        addresses_allowed=["10.1.2.3/8", "::ffff:192.0.2.0/120", "2001:db8::1"],
        models_allowed=["gpt-4o-mini", "gpt-4o-mini"],
        limits=KeyLimits(requests_per_minute=60),
        tags={"team": "payments"},
    )

    parsed = parse(issued.secret)
    assert parsed is not None
    assert (parsed.environment, parsed.tenant_ref, parsed.key_id) == ("live", tenant.ref, issued.key.key_id)
    assert issued.key == selectors.key(issued.key.id)
    assert issued.key.name == "checkout"
    assert issued.key.owner.kind is OwnerKind.MEMBER and issued.key.owner.id == member.id
    assert issued.key.scopes == ("inference:write", "usage:read")
    assert issued.key.addresses_allowed == ("10.0.0.0/8", "192.0.2.0/24", "2001:db8::1/128")
    assert issued.key.models_allowed == ("gpt-4o-mini",)
    assert issued.key.expires_at - issued.key.created_at == timedelta(days=90)
    assert issued.key.state is KeyState.ACTIVE
    assert issued.secret not in repr(issued)


def test_the_secret_is_nowhere_in_the_database(tenant: Any) -> None:
    issued = make_key()

    row = ApiKey.objects.get(pk=issued.key.id)

    stored = " ".join(str(value) for value in row.__dict__.values())
    assert issued.secret[30:61] not in stored
    assert issued.secret.encode() not in bytes(row.digest)
    entry = audit_log(limit=1)[0]
    assert entry.action == "key.issued"
    assert entry.target_id == str(issued.key.id)
    assert issued.secret[30:61] not in str(entry)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"scopes": ["members:write"]}, ScopeNotHeld),
        ({"scopes": ["*"]}, UnknownScope),
        ({"scopes": ["keys:*"]}, UnknownScope),
        ({"scopes": ["ownership:write"]}, UnknownScope),
        ({"scopes": ["platform:admin"]}, UnknownScope),
        ({"scopes": []}, InvalidKeySettings),
        ({"name": "  "}, InvalidKeySettings),
        ({"name": "x" * 81}, InvalidKeySettings),
        ({"name": "nul\x00"}, InvalidKeySettings),
        ({"name": "\ud800"}, InvalidKeySettings),
        ({"tags": {"a\x00": "b"}}, InvalidKeySettings),
        ({"tags": {str(number): "x" for number in range(21)}}, InvalidKeySettings),
        ({"models_allowed": [""]}, InvalidKeySettings),
        ({"limits": KeyLimits(requests_per_minute=0)}, InvalidKeySettings),
        ({"limits": KeyLimits(concurrent_calls=2**31)}, InvalidKeySettings),
        ({"addresses_allowed": ["nowhere"]}, InvalidNetwork),
        ({"addresses_allowed": ["10.0.0.0/33"]}, InvalidNetwork),
        ({"addresses_allowed": ["fe80::1%eth0"]}, InvalidNetwork),
        ({"addresses_allowed": [f"10.0.0.{number}" for number in range(51)]}, InvalidNetwork),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, InvalidKeySettings),
        ({"expires_at": timezone.now() + timedelta(days=366)}, KeyLifetimeTooLong),
        ({"service_account_id": uuid4()}, ServiceAccountNotFound),
        ({"member_id": uuid4()}, NotYourKey),
    ],
)
def test_what_may_not_be_is_refused_and_not_created(
    tenant: Any, wish: dict[str, Any], error: type[DomainError]
) -> None:
    actor = as_member(make_member("developer"))

    with pytest.raises(error):
        services.issue_key(actor=actor, **{"name": "first", "scopes": ["inference:write"], **wish})

    assert selectors.keys() == []
    assert not audit_log(action="key.")


def test_a_member_cannot_make_a_key_for_another_member_not_even_an_owner(tenant: Any) -> None:
    other, owner = make_member("developer"), make_member("owner")

    with pytest.raises(NotYourKey):
        make_key(as_member(owner), member_id=other.id)

    assert selectors.keys() == []


def test_a_viewer_makes_no_keys(tenant: Any) -> None:
    with pytest.raises(DomainError) as refused:
        make_key(as_member(make_member("viewer")), scopes=["usage:read"])

    assert refused.value.code == "scope_missing"


def test_a_key_belongs_to_one_owner(tenant: Any) -> None:
    member, account = make_member("developer"), make_service_account()

    with pytest.raises(InvalidKeySettings):
        make_key(Actor.system(), member_id=member.id, service_account_id=account.id)
    with pytest.raises(InvalidKeySettings):
        make_key(Actor.system())


def test_a_disabled_service_account_gets_no_keys(tenant: Any) -> None:
    account = make_service_account()
    services.disable_service_account(account.id, actor=Actor.system())

    with pytest.raises(ServiceAccountDisabled):
        make_key(service_account_id=account.id)


def test_a_key_beyond_the_plan_limit_is_refused_and_not_created(tenant: Any) -> None:
    limit_keys(1)
    first = make_key().key

    with pytest.raises(KeyLimitReached) as refused:
        make_key(name="second")

    assert refused.value.limit == 1
    assert [key.id for key in list_keys()] == [first.id]


def test_ended_and_replaced_keys_and_children_take_no_place_but_disabled_ones_do(tenant: Any) -> None:
    limit_keys(2)
    system = Actor.system()
    revoked, rotated = make_key().key, make_key(name="second").key
    services.revoke_key(revoked.id, actor=system)
    successor = services.rotate_key(rotated.id, actor=system).key
    services.issue_child_key(successor.id, actor=system, name="child")

    last = make_key(name="third").key
    services.disable_key(last.id, actor=system)

    with pytest.raises(KeyLimitReached):
        make_key(name="fourth")
    assert selectors.keys_in_use() == 2


def test_of_eight_at_once_the_last_place_goes_to_one(committing: Any) -> None:
    with in_tenant(committing):
        limit_keys(1)
        account = make_service_account()
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def issue() -> None:
        start.wait()
        try:
            with in_tenant(committing):
                make_key(service_account_id=account.id)
            outcomes.append("issued")
        except KeyLimitReached:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=issue) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["issued"] + ["refused"] * 7
    with in_tenant(committing):
        assert len(selectors.keys()) == 1


def test_a_form_sent_twice_makes_one_key(tenant: Any) -> None:
    attempt = uuid4()
    first = make_key(id=attempt)

    with pytest.raises(KeyAlreadyIssued):
        make_key(id=attempt)

    assert [key.id for key in list_keys()] == [attempt]
    assert first.key.id == attempt


def test_a_key_gives_no_more_than_it_has(tenant: Any) -> None:
    account = make_service_account()
    issuer = make_key(
        scopes=["keys:write", "inference:write"],
        models_allowed=["small"],
        addresses_allowed=["10.0.0.0/8"],
        limits=KeyLimits(requests_per_minute=10),
        service_account_id=account.id,
    )
    fits = {
        "scopes": ["inference:write"],
        "models_allowed": ["small"],
        "addresses_allowed": ["10.1.0.0/16"],
        "limits": KeyLimits(requests_per_minute=10),
    }

    assert make_key(as_key(issuer), **fits).key.owner.id == account.id
    for wish, error in [
        ({"scopes": ["usage:read"]}, ScopeNotHeld),
        ({"models_allowed": []}, WiderThanParent),
        ({"models_allowed": ["small", "large"]}, WiderThanParent),
        ({"addresses_allowed": []}, WiderThanParent),
        ({"addresses_allowed": ["0.0.0.0/0"]}, WiderThanParent),
        ({"addresses_allowed": ["::/0"]}, WiderThanParent),
        ({"limits": KeyLimits()}, WiderThanParent),
        ({"limits": KeyLimits(requests_per_minute=11)}, WiderThanParent),
        ({"environment": "test"}, WrongEnvironment),
    ]:
        with pytest.raises(error):
            make_key(as_key(issuer), **{**fits, **wish})
    assert len(selectors.keys()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["inference:write", "billing:write"]},
        {"issuer_scopes": []},
        {"environment": "prod"},
        {"member_id": None, "service_account_id": None},
        {"scopes": ["nonsense"], "issuer_scopes": ["nonsense"]},
    ],
)
def test_the_database_itself_refuses_what_no_service_would_write(tenant: Any, change: dict[str, Any]) -> None:
    issued = make_key(as_member(make_member("developer")))

    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=issued.key.id).update(**change)

    assert principal_of(issued).scopes == {"inference:write"}
