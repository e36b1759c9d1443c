"""What can be in the audit log: described actions, and never a secret."""

import ast
import re

import pytest
from django.db import transaction

from apps.governance import services
from apps.governance.audit_actions import ACTIONS, UnknownAuditAction
from apps.governance.audit_secrets import REMOVED, SecretInAudit
from apps.governance.models import AuditEntry
from apps.governance.types import Actor, ActorKind
from apps.keys import selectors
from apps.keys import services as keys
from apps.tenancy.services import in_tenant
from tests.factories.keys import as_member, make_key, make_member
from tests.planes import control_plane
from tests.repository.source import ROOT, called_name, name_of, nodes, text_of

ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \|$", re.MULTILINE)
WRITERS = {"record_audit", "append", "note", "_note", "_record", "create"}
# These write the operators' own log, which concerns no tenant.
OPERATORS = {"apps/identity/operators.py", "apps/identity/operator_sign_in.py"}


def _written() -> dict[str, str]:
    """Every action that the code records by name."""
    found = {}
    for path, node in nodes("apps"):
        if not isinstance(node, ast.Call) or name_of(path) in OPERATORS:
            continue
        named = [keyword.value for keyword in node.keywords if keyword.arg == "action"]
        first = node.args[:1] if called_name(node) in WRITERS - {"create"} else []
        for value in (*named, *first):
            text = text_of(value)
            if text and re.fullmatch(r"[a-z_]+\.[a-z_]+", text):
                found[text] = f"{name_of(path)}:{node.lineno}"
    return found


def test_every_action_is_documented_and_no_other():
    document = (ROOT / "docs/audit.md").read_text(encoding="utf-8")

    assert dict(ROW.findall(document)) == ACTIONS


def test_every_action_that_the_code_records_is_described():
    written = _written()

    assert len(written) >= 40
    assert {action: place for action, place in written.items() if action not in ACTIONS} == {}


def test_the_actions_are_in_order_so_that_none_is_described_twice():
    assert list(ACTIONS) == sorted(ACTIONS)


def test_an_action_that_nobody_described_is_refused(acme):
    with in_tenant(acme):
        before = AuditEntry.objects.count()

        with pytest.raises(UnknownAuditAction, match=r"key\.eaten"), transaction.atomic():
            services.record_audit("key.eaten", actor=Actor.system())

        assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("kind", list(ActorKind))
def test_whoever_acts_is_in_the_log_with_id_name_address_and_request(acme, kind):
    actor = Actor(kind=kind, id="a1", name="Ada", address="198.51.100.7", request_id="r-1")
    with control_plane(), in_tenant(acme):
        services.record_audit("key.changed", actor=actor, target_kind="key", target_id="k1")

        entry = AuditEntry.objects.latest("sequence")

    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == (kind.value, "a1", "Ada")
    assert (entry.address, entry.request_id) == ("198.51.100.7", "r-1")


@pytest.mark.parametrize(
    "name",
    ["password", "new_password", "secret", "client_secret", "Authorization", "api-key", "access_token", "cookie",
     "saml_assertion", "SAMLResponse", "private_key", "recovery_codes", "credentials"],
)  # fmt: skip
def test_details_that_we_name_like_a_secret_are_refused(acme, name):
    with in_tenant(acme), pytest.raises(SecretInAudit, match=name):
        services.record_audit("key.changed", actor=Actor.system(), details={name: "x"})


@pytest.mark.parametrize(
    "value",
    [
        "lk_live_ab12cd34_0123456789_01234567890123456789012345678901_abcdef",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "sk-proj-abcdefghijklmnopqrstuvwx",
        "Bearer abcdefghijklmnopqrstuvwxyz",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----",
        "ghp_0123456789012345678901234567890123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "<saml:Assertion xmlns:saml='x'>",
        "PHNhbWxwOlJlc3BvbnNlIHhtbG5z",
        "https://ada:hunter2@example.com/",
        "argon2$argon2id$v=19$m=102400",
    ],
)
def test_a_secret_that_somebody_typed_is_taken_out_and_the_entry_is_written(acme, value):
    with in_tenant(acme):
        services.record_audit(
            "key.revoked",
            actor=Actor(kind=ActorKind.MEMBER, id="m1", name=f"x {value}"),
            target_kind="key",
            target_id=value,
            details={"reason": f"found {value} there", "changed": {"tags": [{}, {"t": value}]}},
        )

        stored = AuditEntry.objects.latest("sequence")

    everything = f"{stored.actor_name} {stored.target_id} {stored.details}"
    assert value not in everything
    assert stored.details["reason"].startswith("found [removed: looks like a secret]")
    assert everything.count(REMOVED) >= 3


def test_a_tag_called_password_keeps_its_value_out_of_the_log_and_the_change_goes_through(acme):
    with in_tenant(acme):
        owner = make_member("owner")
        make_key(as_member(owner))
        key = selectors.keys()[0]
        keys.restrict_key(key.id, actor=as_member(owner), tags={"password": "hunter2"})

        entry = AuditEntry.objects.filter(action="key.changed").latest("sequence")

    assert "hunter2" not in str(entry.details)
    assert entry.details["changed"]["tags"] == [{}, {"password": REMOVED}]


def test_lines_colours_and_reversed_text_cannot_be_smuggled_in(acme):
    with in_tenant(acme):
        services.record_audit(
            "key.changed",
            actor=Actor(kind=ActorKind.MEMBER, name="a\r\nb\x1b[31m\u202ec", request_id="r\n2"),
            details={"agent": "x\r\nSet-Cookie: y\x00\u2066"},
        )

        entry = AuditEntry.objects.latest("sequence")

    assert (entry.actor_name, entry.request_id) == ("a  b [31m c", "r 2")
    assert entry.details == {"agent": "x  Set-Cookie: y  "}


def test_secrets_of_keys_are_in_no_entry(acme):
    with in_tenant(acme):
        issued = make_key()

        assert issued.secret not in str(list(AuditEntry.objects.values()))
