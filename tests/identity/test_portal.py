"""The pages about people, and the guard that every page of the portal stands behind."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.governance import services as governance
from apps.governance.types import Actor
from apps.identity import selectors
from apps.identity.access import ACCESS
from apps.identity.roles import SCOPES
from apps.identity.types import Member
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.factories.people import PASSWORD, make_member
from tests.identity.conftest import browser, sign_in
from tests.planes import control_plane

pytestmark = pytest.mark.usefixtures("tenant_plane")


def _views(patterns: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += _views(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            found.append((path, pattern.callback))
    return found


def test_every_page_of_the_portal_says_who_may_enter_it() -> None:
    # The API declares scopes in its own way (tests/api), and health answers anybody.
    pages = [
        (path, view)
        for path, view in _views(get_resolver("config.urls.tenant").url_patterns)
        if not path.startswith(("api/", "health/"))
    ]

    undeclared = [path for path, view in pages if not getattr(view, ACCESS, None)]
    unknown = [
        (path, scope)
        for path, view in pages
        if isinstance(getattr(view, ACCESS, None), dict)
        for scope in getattr(view, ACCESS).values()
        if scope not in SCOPES
    ]

    assert len(pages) > 10
    assert undeclared == []
    assert unknown == []


def test_only_the_doors_are_open_to_people_who_are_not_signed_in() -> None:
    open_pages = {
        path
        for path, view in _views(get_resolver("config.urls.tenant").url_patterns)
        if isinstance(getattr(view, ACCESS, None), str)
    }

    assert all(path.startswith(("accounts/", "^accounts/")) for path in open_pages), open_pages


def test_who_is_not_signed_in_is_sent_to_the_door(acme: TenantRef) -> None:
    page = browser("acme").get("/members/")
    written = browser("acme").post("/members/sessions/end-others/")
    part = browser("acme").get("/members/", HTTP_HX_REQUEST="true")

    assert (page.status_code, page["Location"]) == (302, "/accounts/login/?next=%2Fmembers%2F")
    assert written["Location"] == "/accounts/login/?next=%2F"
    assert (part.status_code, part["HX-Redirect"]) == (204, "/accounts/login/")


def test_a_role_without_the_scope_gets_a_page_that_names_it(signed_in: Callable[..., Client]) -> None:
    client = signed_in("viewer")

    answer = client.post("/members/", {"email": "new@acme.example", "role": "viewer"})

    assert answer.status_code == 403
    assert "members:write" in answer.content.decode()


def test_a_method_that_no_scope_covers_is_not_allowed(signed_in: Callable[..., Client]) -> None:
    client = signed_in()

    assert client.delete("/members/").status_code == 405
    assert client.get("/members/sessions/end-others/").status_code == 405


def test_a_suspended_tenants_people_look_and_change_nothing(acme: TenantRef, olga: Member) -> None:
    client = browser("acme")
    with control_plane():
        governance.suspend_tenant(acme, reason="The invoice of May is open.", actor=Actor.system())

    assert sign_in(client, olga.email).status_code == 302
    page = client.get("/members/")
    written = client.post("/members/", {"email": "new@acme.example", "role": "viewer"})

    assert page.status_code == 200
    assert "The invoice of May is open." in page.content.decode()
    assert "Invite member" not in page.content.decode()
    assert written.status_code == 403
    assert "The invoice of May is open." in written.content.decode()
    with in_tenant(acme):
        assert [member.email for member in selectors.members()] == ["olga@acme.example"]


def test_inviting_mails_a_link_that_lets_its_reader_choose_a_password_and_come_in(
    acme: TenantRef, signed_in: Callable[..., Client]
) -> None:
    answer = signed_in().post("/members/", {"email": "New@acme.example", "name": "Nele", "role": "developer"})

    assert answer.status_code == 200
    (message,) = mail.outbox
    assert message.to == ["new@acme.example"]
    link = re.search(r"http://acme\.localhost(\S+)", message.body)
    assert link is not None and link[1] in answer.content.decode()
    guest = browser("acme")
    form = guest.get(link[1], follow=True)
    chosen = guest.post(
        form.request["PATH_INFO"], {"password1": "my very own phrase", "password2": "my very own phrase"}
    )
    assert (chosen.status_code, chosen["Location"]) == (302, "/")
    assert "Nele" in guest.get("/members/").content.decode()
    with in_tenant(acme):
        nele = selectors.member_by_email("new@acme.example")
        assert nele is not None
        assert (nele.role, nele.state) == ("developer", "active")


def test_a_second_invitation_makes_the_first_link_worthless(
    acme: TenantRef, signed_in: Callable[..., Client]
) -> None:
    client = signed_in()
    client.post("/members/", {"email": "new@acme.example", "role": "viewer"})
    with in_tenant(acme):
        invited = selectors.member_by_email("new@acme.example")
        assert invited is not None

    client.post(f"/members/{invited.id}/invite/")

    first, second = (re.search(r"http://acme\.localhost(\S+)", message.body) for message in mail.outbox)
    assert first is not None and second is not None
    assert browser("acme").get(first[1]).context["token_fail"]
    assert browser("acme").get(second[1]).status_code == 302


def test_an_invitation_that_is_refused_says_why_in_the_form(signed_in: Callable[..., Client]) -> None:
    client = signed_in()

    answer = client.post("/members/", {"email": "owner@acme.example", "role": "viewer"})

    assert answer.status_code == 400
    assert "is a member already" in answer.content.decode()
    assert mail.outbox == []


def test_an_admin_is_not_offered_to_make_owners_and_cannot(
    acme: TenantRef, olga: Member, signed_in: Callable[..., Client]
) -> None:
    client = signed_in("admin")

    page = client.get("/members/")
    forged = client.post("/members/", {"email": "new@acme.example", "role": "owner"})

    assert 'value="admin"' in page.content.decode() and 'value="owner"' not in page.content.decode()
    assert forged.status_code == 400
    with in_tenant(acme):
        assert selectors.member_by_email("new@acme.example") is None


@pytest.mark.parametrize("extra", [{"is_operator": "1"}, {"is_staff": "1", "is_superuser": "1"}, {"id": "1"}])
def test_fields_that_the_form_does_not_have_change_nothing(
    acme: TenantRef, signed_in: Callable[..., Client], extra: dict[str, str]
) -> None:
    client = signed_in()

    client.post("/members/", {"email": "new@acme.example", "role": "viewer", **extra})

    with in_tenant(acme):
        made = selectors.member_by_email("new@acme.example")
        assert made is not None and made.role == "viewer"
        from apps.identity.models import User

        assert not User.objects.filter(is_operator=True).exists()


def test_the_last_owner_cannot_be_removed_from_the_page(
    acme: TenantRef, olga: Member, signed_in: Callable[..., Client]
) -> None:
    client = browser("acme")
    sign_in(client, olga.email)

    answer = client.post(f"/members/{olga.id}/deactivate/")

    assert answer.status_code == 409
    with in_tenant(acme):
        assert selectors.member(olga.id).is_active


def test_people_see_and_end_their_own_sessions_only(
    acme: TenantRef, olga: Member, signed_in: Callable[..., Client]
) -> None:
    here, there = browser("acme"), browser("acme", HTTP_USER_AGENT="Mozilla/5.0 (iPhone) Safari/605")
    sign_in(here, olga.email)
    sign_in(there, olga.email)
    other = signed_in("developer")
    with in_tenant(acme):
        dev = selectors.member_by_email("developer@acme.example")
        assert dev is not None
        theirs = selectors.sessions_of(dev.id)[0]

    page = here.get("/members/sessions/").content.decode()
    here.post(f"/members/sessions/{theirs.id}/end/")
    here.post("/members/sessions/end-others/")

    assert "Safari on iPhone" in page
    assert here.get("/members/").status_code == 200
    assert there.get("/members/").status_code == 302
    assert other.get("/members/").status_code == 200


def test_text_that_people_typed_is_shown_as_text(acme: TenantRef, signed_in: Callable[..., Client]) -> None:
    with in_tenant(acme):
        make_member("x@acme.example", "viewer", name="<script>alert(1)</script>")

    page = signed_in().get("/members/").content.decode()

    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_every_answer_names_its_request(olga: Member) -> None:
    client = browser("acme")

    first: HttpResponse = client.get("/accounts/login/", HTTP_X_REQUEST_ID="chosen-by-the-client")
    second: HttpResponse = client.get("/accounts/login/")

    assert first["X-Request-ID"] != "chosen-by-the-client"
    assert first["X-Request-ID"] != second["X-Request-ID"]


def test_a_proxy_of_ours_names_the_request_and_the_peer(settings: Any, acme: TenantRef, olga: Member) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    client = browser("acme", REMOTE_ADDR="10.0.0.1")

    answer = sign_in(
        client,
        olga.email,
        PASSWORD,
        HTTP_X_REQUEST_ID="edge-0000-1111",
        HTTP_X_FORWARDED_FOR="198.51.100.1, ::ffff:203.0.113.9",
    )

    assert answer["X-Request-ID"] == "edge-0000-1111"
    with in_tenant(acme):
        assert selectors.sessions_of(olga.id)[0].address == "203.0.113.9"
