"""What a key that is recognised may do, and that recognising it takes one look."""

import inspect
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from apps.governance.limits import limits_of
from apps.governance.selectors import audit_log
from apps.governance.types import NOTHING_BOUGHT, Actor, TenantBudget
from apps.identity import services as identity
from apps.keys import authentication, selectors, services, tokens
from apps.keys.authentication import load_principal, verify
from apps.keys.errors import InvalidKey, Refusal
from apps.keys.models import ApiKey
from apps.keys.tokens import parse
from apps.keys.types import IssuedKey, KeyLimits, KeyPolicy, KeyState, OwnerKind
from apps.tenancy.services import in_public, in_tenant
from tests.factories.keys import as_member, make_key, make_member, make_service_account, principal_of

SYSTEM = Actor.system("tests")


def refusal(issued: IssuedKey, **change: Any) -> Refusal:
    parsed = parse(change.pop("secret", issued.secret))
    assert parsed is not None
    with pytest.raises(InvalidKey) as refused:
        verify(principal_of(issued), parsed, **{"now": timezone.now(), "address": "192.0.2.1", **change})
    return refused.value.reason


def test_a_principal_carries_what_decides_about_its_requests(tenant: Any) -> None:
    member = make_member("developer")
    issued = make_key(
        as_member(member), models_allowed=["small"], addresses_allowed=["192.0.2.0/24"], tags={"team": "a"},
        limits=KeyLimits(requests_per_minute=1, tokens_per_minute=2, concurrent_calls=3),
    )  # fmt: skip

    principal = principal_of(issued)

    assert principal.tenant == tenant
    assert (principal.key_id, principal.key_public_id) == (issued.key.id, issued.key.key_id)
    assert (principal.owner_kind, principal.owner_id) == (OwnerKind.MEMBER, member.id)
    assert principal.scopes == {"inference:write"}
    assert principal.models_allowed == {"small"}
    assert [str(network) for networks in principal.networks for network in networks] == ["192.0.2.0/24"]
    assert (principal.requests_per_minute, principal.tokens_per_minute, principal.concurrent_calls) == (
        1,
        2,
        3,
    )
    assert principal.tags == {"team": "a"}
    assert (principal.deprecated, principal.parent_id, principal.environment) == (False, None, "live")
    assert "digest" not in repr(principal)


def test_loading_is_one_query_from_whatever_scope(tenant: Any, django_assert_num_queries: Any) -> None:
    parent = make_key(as_member(make_member("developer")))
    child = services.issue_child_key(parent.key.id, actor=SYSTEM, name="child")
    parsed = parse(child.secret)
    assert parsed is not None

    with in_public(), django_assert_num_queries(1):
        principal = load_principal(tenant, parsed.key_id)

    assert principal is not None
    assert principal.parent_id == parent.key.id


def test_each_reason_to_refuse_is_known_to_us_and_told_to_nobody(tenant: Any) -> None:
    issued, other = make_key(addresses_allowed=["192.0.2.0/24"]), make_key()

    reasons = {
        refusal(issued, secret=other.secret): Refusal.WRONG_SECRET,
        refusal(issued, now=issued.key.expires_at): Refusal.EXPIRED,
        refusal(issued, address="198.51.100.1"): Refusal.WRONG_ADDRESS,
        refusal(issued, address=""): Refusal.WRONG_ADDRESS,
    }

    assert all(found is expected for found, expected in reasons.items())
    assert len({str(InvalidKey(reason)) for reason in Refusal}) == 1


def test_the_secret_is_compared_before_anything_else_is_told(tenant: Any) -> None:
    issued, other = make_key(addresses_allowed=["192.0.2.0/24"]), make_key()

    found = refusal(issued, secret=other.secret, now=issued.key.expires_at, address="198.51.100.1")

    assert found is Refusal.WRONG_SECRET


def test_a_key_is_good_until_the_moment_it_expires(tenant: Any) -> None:
    issued = make_key()
    parsed = parse(issued.secret)
    assert parsed is not None

    verify(principal_of(issued), parsed, now=issued.key.expires_at - timedelta(microseconds=1), address="")

    assert refusal(issued, now=issued.key.expires_at) is Refusal.EXPIRED


def test_a_child_ends_with_its_parents_expiry_also_when_that_moves(tenant: Any) -> None:
    parent = make_key()
    child = services.issue_child_key(parent.key.id, actor=SYSTEM, name="child")
    now = timezone.now()
    services.rotate_key(parent.key.id, actor=SYSTEM, overlap=timedelta(minutes=5), now=now)

    assert principal_of(child).expires_at == now + timedelta(minutes=5)


def test_a_child_is_bound_by_its_parents_networks_and_models_as_they_are_now(tenant: Any) -> None:
    parent = make_key()
    child = services.issue_child_key(
        parent.key.id, actor=SYSTEM, name="child", addresses_allowed=["192.0.2.1"], limits=KeyLimits()
    )

    services.restrict_key(
        parent.key.id, actor=SYSTEM, addresses_allowed=["198.51.100.0/24"], models_allowed=["small"],
        limits=KeyLimits(requests_per_minute=7),
    )  # fmt: skip

    principal = principal_of(child)
    assert refusal(child, address="192.0.2.1") is Refusal.WRONG_ADDRESS
    assert principal.models_allowed == {"small"}
    assert principal.parent_limits == KeyLimits(requests_per_minute=7)


def test_a_childs_calls_are_held_against_its_parents_limits_and_budgets_too(tenant: Any) -> None:
    parent = make_key(limits=KeyLimits(requests_per_minute=9))
    child = services.issue_child_key(
        parent.key.id, actor=SYSTEM, name="child", limits=KeyLimits(requests_per_minute=5, concurrent_calls=1)
    )
    budget = TenantBudget(
        id=uuid4(), level="key", subject_id=parent.key.id, unit="money", window="day", amount=Decimal(1), hard=True,
        alert_at=(),
    )  # fmt: skip

    held = limits_of(tenant, NOTHING_BOUGHT, (budget,), principal_of(child))

    assert {(limit.name, limit.limit, limit.subject) for limit in held.limits} == {
        ("parent.requests_per_minute", 9, parent.key.id.hex),
        ("parent.budget_per_day", 10**9, parent.key.id.hex),
        ("key.requests_per_minute", 5, child.key.id.hex),
        ("key.concurrent_calls", 1, child.key.id.hex),
    }


def test_tenant_networks_and_key_networks_both_bind(tenant: Any) -> None:
    issued = make_key(addresses_allowed=["192.0.2.0/24"])
    services.set_key_policy(KeyPolicy(addresses_allowed=("192.0.2.128/25", "198.51.100.0/24")), actor=SYSTEM)

    assert refusal(issued, address="192.0.2.1") is Refusal.WRONG_ADDRESS
    assert refusal(issued, address="198.51.100.1") is Refusal.WRONG_ADDRESS
    parsed = parse(issued.secret)
    assert parsed is not None
    verify(principal_of(issued), parsed, now=timezone.now(), address="::ffff:192.0.2.129")


def test_there_is_no_principal_where_owner_or_parent_is_gone(tenant: Any) -> None:
    make_member("owner")
    member = make_member("developer")
    by_member, account = make_key(as_member(member)), make_service_account()
    by_account = make_key(service_account_id=account.id)
    child = services.issue_child_key(by_account.key.id, actor=SYSTEM, name="child")
    identity.deactivate_member(member_id=member.id, actor=SYSTEM)
    services.disable_service_account(account.id, actor=SYSTEM)

    for issued in (by_member, by_account, child):
        assert load_principal(tenant, issued.key.key_id) is None


def test_the_keys_of_a_removed_member_are_ended_with_the_membership_for_good(tenant: Any) -> None:
    make_member("owner")
    member = make_member("developer")
    first, second = make_key(as_member(member)), make_key(as_member(member), name="second")
    child = services.issue_child_key(first.key.id, actor=SYSTEM, name="agent")

    identity.deactivate_member(member_id=member.id, actor=SYSTEM)
    identity.reactivate_member(member_id=member.id, actor=SYSTEM)

    for issued in (first, second, child):
        assert selectors.key(issued.key.id).state is KeyState.REVOKED
        assert [entry.action for entry in audit_log(target_id=str(issued.key.id), limit=1)] == ["key.revoked"]
    assert selectors.key(first.key.id).revoked_reason == "The membership ended."
    assert services.revoke_keys_of_member(member.id, actor=SYSTEM, reason="again") == 0


def test_the_other_tenant_does_not_know_the_key(tenant: Any, globex: Any) -> None:
    issued = make_key()

    assert load_principal(globex, issued.key.key_id) is None
    with in_tenant(globex):
        assert not ApiKey.objects.filter(key_id=issued.key.key_id).exists()


def test_a_digest_of_a_pepper_that_is_gone_recognises_nothing(tenant: Any, settings: Any) -> None:
    issued = make_key()
    settings.KEY_PEPPERS = {2: "another"}

    assert refusal(issued) is Refusal.WRONG_SECRET


def test_secrets_are_compared_by_compare_digest_and_by_nothing_else() -> None:
    for module in (tokens, authentication):
        source = inspect.getsource(module)
        assert "digest ==" not in source and "== digest" not in source
    assert "hmac.compare_digest" in inspect.getsource(tokens.matches)
    # Rows are found by the public id, never by anything of the secret.
    assert "filter(key_id=key_public_id)" in inspect.getsource(load_principal)
