"""The operator's door: who gets in, how often it can be tried, and what is written down."""

from typing import Any

import pytest

from apps.governance.models import OperatorAuditEntry
from apps.governance.types import Actor
from apps.identity import operators
from apps.identity.errors import LastOperator, NotInThisPlane, OperatorExists, WeakPassword
from apps.identity.models import User
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantRef
from tests.factories.people import PASSWORD as MEMBERS_PASSWORD
from tests.factories.people import make_member
from tests.operator.conftest import EMAIL, PASSWORD, browser, sign_in


def _last() -> OperatorAuditEntry:
    return OperatorAuditEntry.objects.latest("sequence")


def test_an_operator_signs_in_and_it_is_written_down(operator: User) -> None:
    client = browser(REMOTE_ADDR="203.0.113.9")

    answer = sign_in(client, EMAIL.upper())

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    entry = _last()
    assert (entry.action, entry.actor_id) == ("operator.signed_in", str(operator.pk))
    assert entry.details == {"address": "203.0.113.9"}


def test_without_signing_in_there_is_only_the_door(operator: User) -> None:
    for path in ("/", "/tenancy/tenant/", "/identity/user/", "/ai_usage/credential/add/", "/jsi18n/"):
        answer = browser().get(path)
        assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/login/"), path


def test_a_wrong_password_is_written_down_and_the_sixth_attempt_refused(operator: User) -> None:
    for _ in range(5):
        assert sign_in(browser(), password="not-the-password").status_code == 200
    assert (_last().action, _last().details["email"]) == ("operator.sign_in_failed", EMAIL)

    answer = sign_in(browser())

    assert answer.status_code == 200
    assert "Too many attempts" in answer.content.decode()
    assert _last().action == "operator.sign_in_limited"


def test_signing_in_does_not_use_attempts_up(operator: User) -> None:
    for _ in range(7):
        assert sign_in(browser()).status_code == 302


def test_one_address_cannot_try_many_operators(operator: User) -> None:
    for number in range(20):
        sign_in(browser(), email=f"guess{number}@platform.example")

    assert "Too many attempts" in sign_in(browser()).content.decode()
    assert sign_in(browser(REMOTE_ADDR="203.0.113.10")).status_code == 302


def test_a_member_of_a_tenant_is_nobody_here(operator: User, acme: TenantRef) -> None:
    with in_tenant(acme):
        make_member("olga@acme.example", "owner")

    answer = sign_in(browser(), "olga@acme.example", MEMBERS_PASSWORD)

    assert answer.status_code == 200
    assert browser().get("/tenancy/tenant/").status_code == 302


def test_a_tenants_host_does_not_exist_in_this_process(operator: User, acme: TenantRef) -> None:
    client = browser()
    sign_in(client)

    assert client.get("/", HTTP_HOST="acme.localhost").status_code == 404
    assert client.get("/", HTTP_HOST="evil.example").status_code == 404


def test_the_admin_is_closed_in_the_tenant_plane_even_at_the_operators_host(
    operator: User, settings: Any
) -> None:
    client = browser()
    sign_in(client)
    settings.LOCKSTEP_PLANE = "tenant"

    assert client.get("/").status_code == 404
    assert client.get("/tenancy/tenant/").status_code == 404


def test_signing_in_starts_a_new_session(operator: User) -> None:
    client = browser()
    client.cookies["lockstep_operator_sid"] = "planted00000000000000000000000000"

    sign_in(client)

    assert client.cookies["lockstep_operator_sid"].value != "planted00000000000000000000000000"


def test_an_operator_shut_out_is_out_with_the_next_request(operator: User) -> None:
    other = operators.create_operator(email="second@platform.example", actor=Actor.system())
    client = browser()
    sign_in(client)

    operators.deactivate_operator(operator_id=operator.pk, reason="left", actor=Actor.system())

    assert client.get("/").status_code == 302
    assert sign_in(browser()).status_code == 200
    with pytest.raises(LastOperator):
        operators.deactivate_operator(operator_id=other.id, reason="left", actor=Actor.system())


def test_operators_are_made_in_public_only(operator: User, acme: TenantRef) -> None:
    with in_tenant(acme), pytest.raises(NotInThisPlane):
        operators.create_operator(email="x@platform.example", actor=Actor.system())

    with pytest.raises(OperatorExists):
        operators.create_operator(email=EMAIL.upper(), actor=Actor.system())
    with pytest.raises(WeakPassword):
        operators.create_operator(email="x@platform.example", password="short", actor=Actor.system())
    assert list(User.objects.values_list("email", flat=True)) == [EMAIL]


def test_a_password_that_we_make_signs_in_and_is_returned_once(operator: User) -> None:
    made = operators.create_operator(email="x@platform.example", actor=Actor.system())

    assert made.password is not None and made.password not in repr(made)
    assert sign_in(browser(), "x@platform.example", made.password).status_code == 302
    assert made.password != PASSWORD
