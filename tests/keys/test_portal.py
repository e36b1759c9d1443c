"""The pages about keys, as a signed-in member's browser sees them."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.governance.types import Actor
from apps.identity.types import Member
from apps.keys import selectors, services
from apps.keys.types import KeyPolicy, KeyState, OwnerKind
from tests.factories.keys import (
    PASSWORD,
    as_member,
    limit_keys,
    make_key,
    make_member,
    make_service_account,
    new_address,
)

SECRET = re.compile(r"lk_(?:live|test)_[a-z0-9]{8}_[0-9A-Za-z]{10}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}")


def browser_of(member: Member) -> Client:
    client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address())
    signed_in = client.post("/accounts/login/", {"login": member.email, "password": PASSWORD})
    assert signed_in.status_code == 302, signed_in.content
    return client


def wish(**more: Any) -> dict[str, Any]:
    return {
        "attempt": str(uuid4()), "name": "checkout", "owner": "me", "environment": "live",
        "scopes": ["inference:write"], "lifetime": "30", **more,
    }  # fmt: skip


def test_a_developer_makes_a_key_and_sees_its_secret_on_that_page_only(tenant: Any) -> None:
    member = make_member("developer")
    browser = browser_of(member)

    made = browser.post("/keys/create/", wish(tags="team=payments\n", addresses_allowed="10.0.0.0/8"))

    secret = SECRET.search(made.content.decode())
    assert made.status_code == 200
    assert secret is not None
    assert made["Cache-Control"] == "no-store"
    key = selectors.keys()[0]
    assert (key.name, key.tags, key.addresses_allowed) == ("checkout", {"team": "payments"}, ("10.0.0.0/8",))
    assert (key.expires_at - key.created_at).days == 30
    for page in ("/keys/", f"/keys/{key.id}/", "/keys/?show=all&sort=name", f"/keys/{key.id}/edit/"):
        shown = browser.get(page)
        assert shown.status_code == 200, page
        assert "checkout" in shown.content.decode()
        assert SECRET.search(shown.content.decode()) is None


def test_a_form_sent_twice_makes_one_key_and_shows_no_second_secret(tenant: Any) -> None:
    browser, form = browser_of(make_member("developer")), wish()
    browser.post("/keys/create/", form)

    again = browser.post("/keys/create/", form)

    assert again.status_code == 302
    assert again["Location"] == f"/keys/{form['attempt']}/"
    assert len(selectors.keys()) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"scopes": ["members:write"]},
        {"scopes": ["ownership:write"]},
        {"scopes": []},
        {"owner": str(uuid4())},
        {"lifetime": "400"},
        {"lifetime": "never"},
        {"name": ""},
        {"name": "nul\x00"},
        {"environment": "prod"},
        {"tags": "no sign"},
        {"addresses_allowed": "nowhere"},
        {"requests_per_minute": "-1"},
        {"requests_per_minute": "99999999999999999999"},
        {"attempt": "x"},
    ],
)
def test_a_form_that_asks_for_too_much_or_nonsense_is_shown_again(tenant: Any, more: dict[str, Any]) -> None:
    browser = browser_of(make_member("developer"))

    refused = browser.post("/keys/create/", wish(**more))

    assert refused.status_code == 400
    assert SECRET.search(refused.content.decode()) is None
    assert selectors.keys() == []


def test_a_full_plan_is_said_before_the_form_and_after_it(tenant: Any) -> None:
    limit_keys(1)
    browser = browser_of(make_member("developer"))
    make_key()

    before, after = browser.get("/keys/create/"), browser.post("/keys/create/", wish())

    assert "Your plan allows 1 keys" in before.content.decode()
    assert after.status_code == 400
    assert "Your plan allows 1 keys" in after.content.decode()


def test_a_viewer_sees_keys_and_changes_nothing(tenant: Any) -> None:
    key = make_key().key
    browser = browser_of(make_member("viewer"))

    assert browser.get("/keys/").status_code == 200
    assert browser.get(f"/keys/{key.id}/").status_code == 200
    assert browser.get("/keys/create/").status_code == 403
    for action in ("rotate", "disable", "enable", "revoke", "edit"):
        assert browser.post(f"/keys/{key.id}/{action}/", {"confirm": key.name}).status_code == 403
    assert browser.post("/keys/service-accounts/", {"name": "x"}).status_code == 403
    assert browser.post("/keys/rules/", {}).status_code == 403
    assert selectors.key(key.id) == key


def test_nobody_signed_in_is_sent_to_sign_in(tenant: Any) -> None:
    key = make_key().key
    browser = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address())

    for page in ("/keys/", "/keys/create/", f"/keys/{key.id}/", "/keys/service-accounts/", "/keys/rules/"):
        assert browser.get(page)["Location"].startswith("/accounts/login/")


def test_rotating_shows_the_new_secret_and_until_when_the_old_one_works(tenant: Any) -> None:
    browser = browser_of(make_member("developer"))
    old = make_key().key

    shown = browser.post(f"/keys/{old.id}/rotate/", {"overlap_hours": "24"})

    assert shown.status_code == 200
    assert SECRET.search(shown.content.decode())
    assert "The previous key works until" in shown.content.decode()
    assert selectors.key(old.id).state is KeyState.DEPRECATED
    page = browser.get(f"/keys/{old.id}/").content.decode()
    assert "This key has been rotated" in page
    assert "Replaced by" in page


def test_revoking_takes_the_keys_name(tenant: Any) -> None:
    browser, key = browser_of(make_member("developer")), make_key().key

    browser.post(f"/keys/{key.id}/revoke/", {"confirm": "something else"})
    assert selectors.key(key.id).state is KeyState.ACTIVE

    browser.post(f"/keys/{key.id}/revoke/", {"confirm": key.name})
    assert selectors.key(key.id).state is KeyState.REVOKED


def test_disabling_enabling_and_editing(tenant: Any) -> None:
    browser, key = browser_of(make_member("developer")), make_key().key

    browser.post(f"/keys/{key.id}/disable/")
    assert selectors.key(key.id).state is KeyState.DISABLED
    browser.post(f"/keys/{key.id}/enable/")
    assert selectors.key(key.id).state is KeyState.ACTIVE
    browser.post(f"/keys/{key.id}/edit/", {"name": "renamed", "requests_per_minute": "5", "tags": "a=b"})
    changed = selectors.key(key.id)
    assert (changed.name, changed.limits.requests_per_minute, changed.tags) == ("renamed", 5, {"a": "b"})
    page = browser.get(f"/keys/{key.id}/").content.decode()
    assert "Changed: name, requests per minute, tags" in page


def test_another_members_key_has_no_buttons_for_a_developer_and_refuses_the_request(tenant: Any) -> None:
    other = make_member("developer", email="other@example.com")
    key = make_key(as_member(other)).key
    browser = browser_of(make_member("developer"))

    page = browser.get(f"/keys/{key.id}/").content.decode()

    assert "data-dialog-open" not in page
    for action in ("rotate", "disable", "revoke"):
        answered = browser.post(f"/keys/{key.id}/{action}/", {"confirm": key.name, "overlap_hours": "1"})
        assert answered.status_code == 403
    assert selectors.key(key.id).state is KeyState.ACTIVE


def test_service_accounts_are_made_disabled_and_own_keys(tenant: Any) -> None:
    browser = browser_of(make_member("developer"))

    browser.post("/keys/service-accounts/", {"name": "reports", "description": "nightly"})
    taken = browser.post("/keys/service-accounts/", {"name": "Reports"})
    account = selectors.service_accounts()[0]
    browser.post("/keys/create/", wish(owner=str(account.id)))
    browser.post(f"/keys/service-accounts/{account.id}/disable/")

    assert taken.status_code == 400
    key = selectors.keys()[0]
    assert (key.owner.kind, key.owner.name, key.state) == (
        OwnerKind.SERVICE_ACCOUNT, "reports", KeyState.OWNER_INACTIVE,
    )  # fmt: skip
    assert "Disabled" in browser.get("/keys/service-accounts/").content.decode()
    browser.post(f"/keys/service-accounts/{account.id}/enable/")
    assert selectors.keys()[0].state is KeyState.ACTIVE


def test_an_admin_sets_the_rules(tenant: Any) -> None:
    browser = browser_of(make_member("admin"))

    saved = browser.post(
        "/keys/rules/",
        {
            "default_days": "7",
            "maximum_days": "30",
            "disable_unused_days": "10",
            "addresses_allowed": "192.0.2.1",
        },
    )

    assert saved.status_code == 302
    assert selectors.key_policy() == KeyPolicy(
        default_days=7, maximum_days=30, warn_unused_days=None, disable_unused_days=10, revoke_on_leak=False,
        addresses_allowed=("192.0.2.1/32",),
    )  # fmt: skip
    assert browser.post("/keys/rules/", {"default_days": "31", "maximum_days": "30"}).status_code == 400
    assert browser.get("/keys/rules/").status_code == 200


def test_the_other_tenants_key_is_not_there(tenant: Any, globex: Any) -> None:
    from apps.tenancy.services import in_tenant

    with in_tenant(globex):
        theirs = make_key().key
    browser = browser_of(make_member("owner"))

    assert browser.get(f"/keys/{theirs.id}/").status_code == 404
    assert browser.post(f"/keys/{theirs.id}/revoke/", {"confirm": theirs.name}).status_code == 404
    with in_tenant(globex):
        assert selectors.key(theirs.id).state is KeyState.ACTIVE


def test_a_list_longer_than_a_page_goes_on(tenant: Any) -> None:
    account = make_service_account()
    for number in range(52):
        services.issue_key(
            actor=Actor.system(), name=f"key {number}", scopes=["usage:read"], service_account_id=account.id
        )
    browser = browser_of(make_member("viewer"))

    first = browser.get(reverse("keys:list", urlconf="config.urls.tenant")).content.decode()
    cursor = re.search(r"cursor=([0-9a-f-]{36})", first)

    assert cursor is not None
    second = browser.get(f"/keys/?cursor={cursor[1]}").content.decode()
    assert "key 51" in first and "key 1<" not in first
    assert "key 1<" in second and "key 0<" in second and "key 51" not in second
    assert browser.get("/keys/?cursor=nonsense").status_code == 200
