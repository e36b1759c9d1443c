"""Reports of secrets found in public."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core import mail

from apps.governance.selectors import audit_log
from apps.governance.types import Actor
from apps.jobs.models import WorkTicket
from apps.keys import selectors, services, tasks, tokens
from apps.keys.selectors import keys as list_keys
from apps.keys.types import IssuedKey, KeyPolicy, KeyState
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import as_member, make_key, make_member

RECEIVED = {"received": True}


@pytest.fixture(autouse=True)
def _no_rate(settings: Any) -> None:
    settings.LEAK_REPORTS_PER_MINUTE = 10_000


@pytest.fixture
def partner(settings: Any) -> ec.EllipticCurvePrivateKey:
    """A scanning partner whose public key we know."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings.LEAK_PARTNER_KEYS = {"k1": base64.b64encode(der).decode()}
    return key


def report(body: bytes, key: ec.EllipticCurvePrivateKey, **change: str) -> Any:
    signature = base64.b64encode(key.sign(body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {"Github-Public-Key-Identifier": "k1", "Github-Public-Key-Signature": signature} | change
    return Api("").send(
        "POST", "/leaks/partner", body, **{n.replace("-", "_"): v for n, v in headers.items()}
    )


def test_a_reported_key_is_revoked_its_people_are_told_and_it_is_written_down(tenant: Any) -> None:
    owner, member = make_member("owner"), make_member("developer")
    issued = make_key(as_member(member), scopes=["inference:write", "keys:write"])
    child = services.issue_child_key(issued.key.id, actor=Actor.system(), name="child")

    answer = Api("").post("/leaks", {"key": f" {issued.secret}\n", "where": "https://example.com/gist/1"})

    assert (answer.status_code, answer.json()) == (200, RECEIVED)
    assert selectors.key(issued.key.id).state is KeyState.REVOKED
    assert selectors.key(child.key.id).state is KeyState.REVOKED
    assert Api(issued.secret).get("/whoami").status_code == 401
    actions = [entry.action for entry in audit_log(target_id=str(issued.key.id))]
    assert actions == ["key.revoked", "key.leak_reported", "key.issued"]
    ticket = WorkTicket.objects.get(kind="keys.tell_of_leak")
    assert (ticket.tenant_id, ticket.payload) == (tenant.id, {"key_id": str(issued.key.id)})

    tasks.tell_of_leak(**ticket.payload)

    assert sorted(message.to[0] for message in mail.outbox) == [member.email, owner.email]
    assert "https://example.com/gist/1" in mail.outbox[0].body
    assert "We revoked it" in mail.outbox[0].body
    assert issued.secret[30:61] not in mail.outbox[0].body


def test_an_unknown_key_gets_the_same_answer_as_a_real_one(tenant: Any, admin_key: IssuedKey) -> None:
    ended = make_key()
    services.revoke_key(ended.key.id, actor=Actor.system())
    wrong = tokens.generate(tenant_ref=tenant.ref, environment="live").plaintext
    foreign = tokens.generate(tenant_ref="zzzzzzzz", environment="live").plaintext
    spoilt = admin_key.secret[:29] + ("b" if admin_key.secret[29] != "b" else "c") + admin_key.secret[30:]
    entries = len(audit_log())

    answers = [
        Api("").post("/leaks", {"key": text})
        for text in (wrong, foreign, spoilt, ended.secret, "x", "lk_live_")
    ]

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, b'{"received":true}')}
    assert selectors.key(admin_key.key.id).state is KeyState.ACTIVE
    assert len(audit_log()) == entries


def test_where_the_policy_does_not_revoke_it_tells_and_tells_once(tenant: Any) -> None:
    services.set_key_policy(KeyPolicy(revoke_on_leak=False), actor=Actor.system())
    issued = make_key(as_member(make_member("owner")))

    for _ in range(3):
        Api("").post("/leaks", {"key": issued.secret})

    assert selectors.key(issued.key.id).state is KeyState.ACTIVE
    assert len(audit_log(action="key.leak_reported")) == 1
    tasks.tell_of_leak(key_id=str(issued.key.id))
    assert [message.to for message in mail.outbox] == [["owner@example.com"]]
    assert "it still works" in mail.outbox[0].body


def test_a_report_on_the_other_tenants_host_reaches_the_keys_tenant(tenant: Any, globex: Any) -> None:
    issued = make_key()

    Api("", "globex.localhost").post("/leaks", {"key": issued.secret})

    assert selectors.key(issued.key.id).state is KeyState.REVOKED
    with in_tenant(globex):
        assert audit_log(action="key.") == []


def test_reports_are_counted_by_address(tenant: Any, settings: Any) -> None:
    settings.LEAK_REPORTS_PER_MINUTE = 0

    answer = Api("").post("/leaks", {"key": "x"})

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


@pytest.mark.parametrize(
    "body", [{}, {"key": ""}, {"key": None}, {"key": "x" * 301}, {"key": ["x"]}, {"secret": "x"}, []]
)
def test_a_report_that_is_none_is_a_400(tenant: Any, body: Any) -> None:
    assert Api("").post("/leaks", body).status_code == 400


def test_a_partners_signed_findings_are_acted_on(tenant: Any, partner: Any) -> None:
    first, second = make_key(), make_key(name="second")
    findings = [
        {"token": first.secret, "type": "lockstep", "url": "https://example.com/a", "source": "content"},
        {"token": "nonsense", "type": "lockstep", "url": "", "extra": 1},
        {"token": second.secret},
    ]

    answer = report(json.dumps(findings).encode(), partner)

    assert (answer.status_code, answer.json()) == (200, RECEIVED)
    assert {key.state for key in list_keys()} == {KeyState.REVOKED}


def test_a_report_that_is_not_signed_by_a_known_partner_is_refused(tenant: Any, partner: Any) -> None:
    issued = make_key()
    body = json.dumps([{"token": issued.secret}]).encode()
    stranger = ec.generate_private_key(ec.SECP256R1())
    other_body = base64.b64encode(partner.sign(b"[]", ec.ECDSA(hashes.SHA256()))).decode()

    for answer in (
        report(body, stranger),
        report(body, partner, **{"Github-Public-Key-Identifier": "k2"}),
        report(body, partner, **{"Github-Public-Key-Identifier": ""}),
        report(body, partner, **{"Github-Public-Key-Signature": ""}),
        report(body, partner, **{"Github-Public-Key-Signature": "not base64"}),
        report(body, partner, **{"Github-Public-Key-Signature": other_body}),
        Api("").send("POST", "/leaks/partner", body),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "invalid_report_signature")
    assert selectors.key(issued.key.id).state is KeyState.ACTIVE


@pytest.mark.parametrize(
    "body", [b"{}", b"null", b"[1]", b'[{"type": "x"}]', b"[" + b'{"token":"x"},' * 1000 + b'{"token":"x"}]']
)
def test_a_signed_report_of_another_form_is_a_400(tenant: Any, partner: Any, body: bytes) -> None:
    assert report(body, partner).status_code == 400
