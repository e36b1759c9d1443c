"""One tenant's cookies and links at another's host, at the operator's, and the other way round."""

import re

import pytest
from django.contrib.auth import HASH_SESSION_KEY
from django.core import mail

from apps.identity import selectors
from apps.identity.models import Session, User
from apps.identity.sessions import SessionStore, stored_key
from apps.identity.types import Member
from apps.tenancy.services import in_public, in_tenant
from apps.tenancy.types import TenantRef
from tests.factories.people import PASSWORD, make_member
from tests.identity.conftest import browser, sign_in
from tests.planes import control_plane

pytestmark = pytest.mark.usefixtures("tenant_plane")


def _link_sent_to(email: str) -> str:
    body = next(message.body for message in mail.outbox if message.to == [email])
    found = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+/)", body)
    assert found is not None, body
    return found[1]


def test_a_cookie_of_one_tenant_is_nobodys_at_another(olga: Member, globex: TenantRef) -> None:
    client = browser("acme")
    sign_in(client, olga.email)

    assert client.get("/members/").status_code == 200
    assert client.get("/members/", HTTP_HOST="globex.localhost").status_code == 302


def test_a_session_copied_into_another_tenants_table_with_its_person_is_no_session_there(
    acme: TenantRef, olga: Member, globex: TenantRef
) -> None:
    client = browser("acme")
    sign_in(client, olga.email)
    with in_tenant(acme):
        person = User.objects.values().get(pk=olga.id)
        session = Session.objects.values().get(user_id=olga.id)
    with in_tenant(globex):
        User.objects.create(**person)
        Session.objects.create(**session)

    assert client.get("/members/", HTTP_HOST="globex.localhost").status_code == 302


def test_a_link_of_one_tenant_is_refused_at_another_and_works_once_at_home(
    acme: TenantRef, olga: Member, globex: TenantRef
) -> None:
    with in_tenant(globex):
        twin = make_member(olga.email, "owner")
    browser("acme").post("/accounts/password/reset/", {"email": olga.email})
    link = _link_sent_to(olga.email)

    elsewhere = browser("globex").get(link)
    with in_tenant(acme):
        copy = User.objects.values().get(pk=olga.id)
    with in_tenant(globex):
        # Even for a person with the same id, address and password: the token names the tenant.
        User.objects.filter(pk=twin.id).update(email="moved@globex.example")
        User.objects.create(**copy)
    with_twin = browser("globex").get(link)

    assert elsewhere.status_code == with_twin.status_code == 200
    assert elsewhere.context["token_fail"] and with_twin.context["token_fail"]
    at_home = browser("acme")
    form = at_home.get(link, follow=True)
    new = {"password1": "a completely new one", "password2": "a completely new one"}
    assert at_home.post(form.request["PATH_INFO"], new).status_code == 302
    assert browser("acme").get(link).context["token_fail"]
    assert sign_in(browser("acme"), olga.email, "a completely new one").status_code == 302
    assert sign_in(browser("acme"), olga.email, PASSWORD).status_code == 200


def test_asking_for_a_link_says_the_same_for_everybody_and_mails_only_members(olga: Member) -> None:
    known = browser("acme").post("/accounts/password/reset/", {"email": olga.email})
    unknown = browser("acme").post("/accounts/password/reset/", {"email": "nobody@acme.example"})

    assert known["Location"] == unknown["Location"]
    assert [message.to for message in mail.outbox] == [[olga.email]]


def test_an_operators_cookie_is_nobodys_at_a_tenants_host(acme: TenantRef, globex: TenantRef) -> None:
    with control_plane():
        operator = User.objects.create(email="op@platform.example", is_operator=True)
        store = SessionStore()
        store["_auth_user_id"] = str(operator.pk)
        store["_auth_user_backend"] = "apps.identity.backends.OperatorBackend"
        store[HASH_SESSION_KEY] = operator.get_session_auth_hash()
        store.create()
        store.save()
        key = str(store.session_key)
        assert Session.objects.filter(session_key=stored_key(key)).exists()
    client = browser("acme")
    for name in ("lockstep_sid", "lockstep_operator_sid"):
        client.cookies[name] = key

    assert client.get("/members/").status_code == 302
    assert client.get("/", HTTP_HOST="127.0.0.1").status_code == 200


def test_a_host_without_a_tenant_reads_no_session_at_all(olga: Member) -> None:
    client = browser("acme")
    sign_in(client, olga.email)

    # The tenant plane may not even look at the operators' sessions; a look would be an error here.
    assert client.get("/", HTTP_HOST="127.0.0.1").json()["service"] == "lockstep"
    assert client.get("/members/", HTTP_HOST="127.0.0.1").status_code == 404


@pytest.mark.parametrize(
    "path", ["/login/", "/tenancy/tenant/", "/admin/", "/identity/user/add/", "/password_change/", "/jsi18n/"]
)
def test_the_operator_admin_is_not_at_a_tenants_host(olga: Member, path: str) -> None:
    client = browser("acme")
    sign_in(client, olga.email)

    assert client.get(path).status_code == 404
    assert client.get(path, HTTP_HOST="operator.localhost").status_code == 404


@pytest.mark.parametrize(
    "host", ["ACME.localhost", "acme.localhost.", "acme.localhost:8000", "Acme.LocalHost.:8000"]
)
def test_a_host_is_recognised_in_every_way_of_writing_it(olga: Member, host: str) -> None:
    assert browser("acme").get("/accounts/login/", HTTP_HOST=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["nobody.localhost", "www.acme.localhost", "acme.localhost.evil.example", "acme", "", "evil\r\nX: y"],
)
def test_an_unknown_host_gets_a_404_that_says_nothing(olga: Member, host: str) -> None:
    answer = browser("acme").get("/accounts/login/", HTTP_HOST=host)

    assert (answer.status_code, answer.content) == (404, b"There is nothing at this address.\n")


def test_nobody_at_one_tenant_sees_the_people_of_another(
    acme: TenantRef, olga: Member, globex: TenantRef
) -> None:
    with in_tenant(globex):
        theirs = make_member("gina@globex.example", "owner")
    client = browser("acme")
    sign_in(client, olga.email)

    listed = client.get("/members/").content.decode()
    looked_up = client.get(f"/members/{theirs.id}/")
    shut_out = client.post(f"/members/{theirs.id}/deactivate/")

    assert "gina@globex.example" not in listed
    assert (looked_up.status_code, shut_out.status_code) == (404, 404)
    with in_tenant(globex):
        assert selectors.member(theirs.id).is_active
    with in_public():
        assert browser("globex").get("/members/").status_code == 302
