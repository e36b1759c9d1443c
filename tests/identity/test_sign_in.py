"""Signing in at a tenant's host: who gets in, who doesn't, and what is written down."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.governance.selectors import audit_log
from apps.governance.types import Actor
from apps.identity import selectors, services
from apps.identity.models import Session
from apps.identity.sessions import stored_key
from apps.identity.types import Member
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.factories.people import PASSWORD, acting, make_member
from tests.identity.conftest import browser, sign_in

pytestmark = pytest.mark.usefixtures("tenant_plane")


def test_the_right_password_signs_in_and_is_written_down(acme: TenantRef, olga: Member) -> None:
    client = browser("acme", REMOTE_ADDR="203.0.113.9")

    answer = sign_in(client, "Olga@ACME.example", HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Firefox/140.0")

    assert (answer.status_code, answer["Location"]) == (302, "/")
    with in_tenant(acme):
        entry = audit_log(limit=1)[0]
        assert (entry.action, entry.actor_id, entry.address) == (
            "member.signed_in",
            str(olga.id),
            "203.0.113.9",
        )
        session = selectors.sessions_of(olga.id)[0]
        assert (session.address, session.agent) == ("203.0.113.9", "Mozilla/5.0 (X11; Linux) Firefox/140.0")
        assert selectors.member(olga.id).last_login is not None
    assert client.get("/members/sessions/").status_code == 200


def test_a_wrong_password_signs_nobody_in_and_is_written_down(acme: TenantRef, olga: Member) -> None:
    client = browser("acme")

    answer = sign_in(client, olga.email, "not-the-password")

    assert answer.status_code == 200
    assert client.get("/members/").status_code == 302
    with in_tenant(acme):
        entry = audit_log(limit=1)[0]
        assert (entry.action, entry.target_id) == ("member.sign_in_failed", str(olga.id))
        assert entry.details == {"email": olga.email}


def test_an_unknown_address_gets_the_same_answer_as_a_wrong_password(olga: Member) -> None:
    known = sign_in(browser("acme"), olga.email, "not-the-password")
    unknown = sign_in(browser("acme"), "nobody@acme.example", "not-the-password")

    assert known.status_code == unknown.status_code == 200
    assert known.context["form"].non_field_errors() == unknown.context["form"].non_field_errors()


def test_the_sixth_attempt_is_refused_even_with_the_right_password(
    acme: TenantRef, globex: TenantRef, olga: Member
) -> None:
    with in_tenant(globex):
        make_member(olga.email, "viewer")
    for _ in range(5):
        sign_in(browser("acme"), olga.email, "not-the-password")

    refused = sign_in(browser("acme"), olga.email)
    elsewhere = sign_in(browser("globex"), olga.email)

    assert "Too many" in str(refused.context["form"].errors)
    # Limits are counted per tenant, so nobody locks a person out at another tenant.
    assert elsewhere.status_code == 302


def test_a_disabled_member_does_not_get_in(acme: TenantRef, olga: Member) -> None:
    with in_tenant(acme):
        leaver = make_member("leaver@acme.example", "developer")
        services.deactivate_member(member_id=leaver.id, actor=acting(olga))
    client = browser("acme")

    answer = sign_in(client, leaver.email)

    assert answer["Location"] == "/accounts/inactive/"
    assert client.get("/members/").status_code == 302
    with in_tenant(acme):
        entry = audit_log(limit=1)[0]
        assert (entry.action, entry.details) == ("member.sign_in_refused", {"reason": "disabled"})


def test_an_invited_person_without_a_password_cannot_sign_in_with_any(acme: TenantRef) -> None:
    with in_tenant(acme):
        make_member("invited@acme.example", "viewer", password=None)

    for password in ("", "!", PASSWORD):
        assert sign_in(browser("acme"), "invited@acme.example", password).status_code == 200


def test_signing_in_starts_a_new_session_so_a_planted_one_is_worth_nothing(
    acme: TenantRef, olga: Member
) -> None:
    victim = browser("acme")
    victim.cookies["lockstep_sid"] = "planted00000000000000000000000000"

    sign_in(victim, olga.email)

    assert victim.cookies["lockstep_sid"].value != "planted00000000000000000000000000"
    attacker = browser("acme")
    attacker.cookies["lockstep_sid"] = "planted00000000000000000000000000"
    assert attacker.get("/members/").status_code == 302


def test_the_table_of_sessions_holds_nothing_that_signs_in(acme: TenantRef, olga: Member) -> None:
    client = browser("acme")
    sign_in(client, olga.email)

    with in_tenant(acme):
        stored = Session.objects.get(user_id=olga.id).session_key

    assert stored == stored_key(client.cookies["lockstep_sid"].value)
    thief = browser("acme")
    thief.cookies["lockstep_sid"] = stored
    assert thief.get("/members/").status_code == 302


def test_cookies_stay_on_their_host_and_out_of_scripts(olga: Member) -> None:
    client = browser("acme")
    sign_in(client, olga.email)

    cookie = client.cookies["lockstep_sid"]

    assert (cookie["domain"], cookie["path"], cookie["httponly"], cookie["samesite"]) == (
        "",
        "/",
        True,
        "Lax",
    )


def test_signing_out_ends_the_session_and_is_written_down(acme: TenantRef, olga: Member) -> None:
    client = browser("acme")
    sign_in(client, olga.email)
    kept = client.cookies["lockstep_sid"].value

    client.post("/accounts/logout/")

    again = browser("acme")
    again.cookies["lockstep_sid"] = kept
    assert again.get("/members/").status_code == 302
    with in_tenant(acme):
        assert audit_log(limit=1)[0].action == "member.signed_out"


def test_being_shut_out_ends_a_live_session_with_the_next_request(
    acme: TenantRef, olga: Member, signed_in: Callable[..., Client]
) -> None:
    client = signed_in("developer")
    assert client.get("/members/").status_code == 200

    with in_tenant(acme):
        leaver = selectors.member_by_email("developer@acme.example")
        assert leaver is not None
        services.deactivate_member(member_id=leaver.id, actor=acting(olga))

    assert client.get("/members/").status_code == 302


def test_a_new_password_ends_the_other_sessions(acme: TenantRef, olga: Member) -> None:
    here, there = browser("acme"), browser("acme")
    sign_in(here, olga.email)
    sign_in(there, olga.email)

    changed = here.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "a completely new one", "password2": "a completely new one"},
    )

    assert changed.status_code == 302
    assert here.get("/members/").status_code == 200
    assert there.get("/members/").status_code == 302


def test_an_epoch_raised_ends_sessions_whose_rows_are_still_there(acme: TenantRef, olga: Member) -> None:
    client = browser("acme")
    sign_in(client, olga.email)
    with in_tenant(acme):
        kept = list(Session.objects.filter(user_id=olga.id).values())
        services.end_sessions(member_id=olga.id, actor=Actor.system())
        Session.objects.bulk_create(Session(**row) for row in kept)

    assert client.get("/members/").status_code == 302


def test_a_role_changed_holds_with_the_next_request(
    acme: TenantRef, olga: Member, signed_in: Callable[..., Client]
) -> None:
    client = signed_in("admin")
    with in_tenant(acme):
        admin = selectors.member_by_email("admin@acme.example")
        assert admin is not None
        services.change_role(member_id=admin.id, role="viewer", actor=acting(olga))

    answer = client.post("/members/", {"email": "new@acme.example", "role": "viewer"})

    assert answer.status_code == 403
    with in_tenant(acme):
        assert selectors.member_by_email("new@acme.example") is None


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http://globex.localhost/members/",
        "http://operator.localhost/",
        "http://acme.localhost@evil.example/",
    ],
)
def test_sign_in_leads_nowhere_but_to_this_host(olga: Member, target: str) -> None:
    client = browser("acme")

    answer = client.post("/accounts/login/", {"login": olga.email, "password": PASSWORD, "next": target})

    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_sign_in_leads_back_to_the_page_that_was_asked_for(olga: Member) -> None:
    client = browser("acme")
    asked = client.get("/members/?sort=name")

    assert asked["Location"] == "/accounts/login/?next=%2Fmembers%2F%3Fsort%3Dname"
    answer = client.post(
        "/accounts/login/", {"login": olga.email, "password": PASSWORD, "next": "/members/?sort=name"}
    )
    assert answer["Location"] == "/members/?sort=name"


@pytest.mark.parametrize(
    "path", ["signup/", "email/", "confirm-email/", "password/set/", "social/", "3rdparty/"]
)
def test_what_we_do_not_offer_is_not_there(olga: Member, path: str) -> None:
    assert browser("acme").get(f"/accounts/{path}").status_code == 404


def test_a_form_without_its_token_is_refused(olga: Member) -> None:
    client = Client(HTTP_HOST="acme.localhost", enforce_csrf_checks=True)

    assert sign_in(client, olga.email).status_code == 403
