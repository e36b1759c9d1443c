"""Looking through the audit log, taking it out and holding it: in the API and in the portal."""

import csv
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from apps.governance import services
from apps.governance.models import AuditEntry
from apps.governance.selectors import audit_holds
from apps.governance.types import Actor, ActorKind
from apps.tenancy.services import in_tenant
from tests.api.conftest import Api
from tests.factories.keys import PASSWORD, make_key, make_member, new_address

ADA = Actor(kind=ActorKind.MEMBER, id="m-ada", name="Ada", address="198.51.100.7", request_id="req-1")
BOB = Actor(kind=ActorKind.SERVICE_ACCOUNT, id="s-bob", name="Bob")


@pytest.fixture
def tenant(acme):
    with in_tenant(acme):
        services.record_audit(
            "key.changed", actor=ADA, target_kind="key", target_id="k1", details={"reason": "Überprüfung"}
        )
        services.record_audit(
            "key.revoked", actor=BOB, target_kind="key", target_id="k2", details={"reason": "=HYPERLINK(1)"}
        )
        services.record_audit("webhook.created", actor=ADA, target_kind="webhook", target_id="w1")
        yield acme


def api_with(*scopes):
    return Api(make_key(name="reader", scopes=list(scopes)).secret)


@pytest.fixture
def api(tenant):
    return api_with("audit:read", "settings:write")


def browser(role="owner"):
    member = make_member(role)
    client = Client(HTTP_HOST="acme.localhost", REMOTE_ADDR=new_address(), raise_request_exception=False)
    assert client.post("/accounts/login/", {"login": member.email, "password": PASSWORD}).status_code == 302
    return client


def targets(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [entry["target_id"] for entry in answer.json()["data"] if entry["target_id"] in ("k1", "k2", "w1")]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["w1", "k2", "k1"]),
        ("action=key.", ["k2", "k1"]),
        ("action=key.revoked", ["k2"]),
        ("actor=ada", ["w1", "k1"]),
        ("actor=s-bob", ["k2"]),
        ("actor=s-bo", []),
        ("actor_kind=service_account", ["k2"]),
        ("target_kind=webhook", ["w1"]),
        ("target_id=k1", ["k1"]),
        ("request_id=req-1", ["w1", "k1"]),
        ("address=198.51.100.7&action=key.", ["k1"]),
        (f"text={quote('überprüfung')}", ["k1"]),
        ("text=hyperlink", ["k2"]),
        ("text=%25", []),
        ("text=%27%20OR%201%3D1%20--", []),
    ],
)
def test_entries_are_found_by_what_is_looked_for(api, query, found):
    assert targets(api.get(f"/audit?{query}")) == found


def test_entries_are_found_by_time(api):
    later = quote((timezone.now() + timedelta(minutes=1)).isoformat())

    assert targets(api.get(f"/audit?since={later}")) == []
    assert targets(api.get(f"/audit?until={later}")) == ["w1", "k2", "k1"]


def test_pages_of_a_search_go_on_where_they_stopped_and_belong_to_the_search(api):
    first = api.get("/audit?action=key.&limit=1").json()
    second = api.get(f"/audit?action=key.&limit=1&cursor={first['next_cursor']}").json()

    assert first["data"][0]["sequence"] > second["data"][0]["sequence"]
    assert api.get(f"/audit?action=webhook.&limit=1&cursor={first['next_cursor']}").status_code == 400


@pytest.mark.parametrize(
    "query", ["actor_kind=emperor", "since=yesterday", "no_such=1", "action=" + "x" * 61, "text=%00"]
)
def test_a_search_that_cannot_be_is_refused(api, query):
    assert api.get(f"/audit?{query}").status_code == 400


def test_the_export_as_csv_runs_nothing_in_a_spreadsheet_and_leaves_an_entry(api):
    services.record_audit(
        "key.changed",
        actor=Actor(kind=ActorKind.MEMBER, id="-1+1", name=" =cmd|' /C calc'!A0"),
        target_id="@SUM(A1)",
    )

    answer = api.get("/audit/export?form=csv")

    body = b"".join(answer.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(body)))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert 'attachment; filename="audit-acme-' in answer["Content-Disposition"]
    newest = rows[0]
    assert (newest["actor_id"], newest["actor_name"], newest["target_id"]) == (
        "'-1+1",
        "' =cmd|' /C calc'!A0",
        "'@SUM(A1)",
    )
    assert not any(
        cell.lstrip(" \ufeff").startswith(("=", "+", "-", "@", "\t", "|"))
        for row in rows
        for cell in row.values()
    )
    written = AuditEntry.objects.latest("sequence")
    assert (written.action, written.details["form"], written.details["through"]) == (
        "audit.exported",
        "csv",
        int(newest["sequence"]),
    )
    assert len(rows) == written.details["through"]


def test_the_export_as_lines_holds_what_was_searched_for_with_hashes(api):
    answer = api.get("/audit/export?form=jsonl&action=key.revoked&target_id=k2")

    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]

    (entry,) = lines
    stored = AuditEntry.objects.get(sequence=entry["sequence"])
    assert (entry["target"]["id"], entry["hash"]) == ("k2", bytes(stored.hash).hex())
    assert AuditEntry.objects.latest("sequence").details["search"] == {
        "action": "key.revoked",
        "target_id": "k2",
    }


def test_an_export_is_made_in_pieces_and_bounded(api, monkeypatch):
    monkeypatch.setattr("apps.governance.audit_reading._AT_ONCE", 2)
    monkeypatch.setattr("apps.governance.audit_reading.MOST_EXPORTED", 5)

    answer = api.get("/audit/export")

    pieces = list(answer.streaming_content)
    assert [piece.count(b"\n") for piece in pieces] == [2, 2, 1]


def test_without_the_scope_nothing_is_seen_exported_or_held(tenant):
    other = api_with("keys:read")

    for method, path in (
        ("GET", "/audit"),
        ("GET", "/audit/export"),
        ("GET", "/audit/hold"),
        ("PUT", "/audit/hold"),
        ("DELETE", "/audit/hold"),
    ):
        assert other.send(method, path, {"reason": "x"}).status_code == 403, path
    assert api_with("audit:read").put("/audit/hold", {"reason": "x"}).status_code == 403
    assert not AuditEntry.objects.filter(action__in=["audit.exported", "audit.hold_set"]).exists()


def test_another_tenants_key_sees_its_own_log_only(tenant, globex):
    with in_tenant(globex):
        theirs = api_with("audit:read")

    assert targets(theirs.get("/audit")) == []
    assert b"k1" not in b"".join(theirs.get("/audit/export").streaming_content)


def test_a_hold_is_set_shown_and_lifted_and_an_operators_is_not(api):
    assert api.get("/audit/hold").json() == {"keep_days": None, "holds": []}
    held = api.put("/audit/hold", {"reason": "case 1"}).json()["holds"]
    assert [(hold["reason"], hold["by_operator"]) for hold in held] == [("case 1", False)]
    again = api.put("/audit/hold", {"reason": "case 2"})
    assert (again.status_code, again.json()["code"]) == (409, "invalid_hold")

    assert api.send("DELETE", "/audit/hold").json()["holds"] == []
    assert api.send("DELETE", "/audit/hold").status_code == 409


def test_the_page_shows_searches_and_exports(tenant):
    client = browser()

    page = client.get("/governance/audit/?action=key.&text=hyperlink").content.decode()

    assert "k2" in page
    assert ">k1<" not in page
    everything = client.get("/governance/audit/").content.decode()
    assert "Entries are kept for ever" in everything
    assert "/governance/audit/export/?" in everything
    nothing = client.get("/governance/audit/?text=nosuchthing").content.decode()
    assert "Nothing found" in nothing
    exported = client.get("/governance/audit/export/?form=csv&action=key.revoked")
    assert b"k2" in b"".join(exported.streaming_content)
    assert AuditEntry.objects.latest("sequence").actor_kind == "member"


def test_what_somebody_typed_is_text_on_the_page(tenant):
    services.record_audit(
        "key.changed",
        actor=Actor(kind=ActorKind.MEMBER, name="<script>alert(1)</script>"),
        details={"<b>": "<img src=x>"},
    )

    page = browser().get("/governance/audit/").content.decode()

    assert "<script>alert(1)" not in page
    assert "<img src=x>" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x",
        "cursor=" + "9" * 30,
        "since=tomorrow",
        "until=9999-12-31",
        "since=0001-01-01",
        "actor_kind=x",
        "text=%00",
        "action=" + "x" * 500,
    ],
)
def test_the_page_takes_any_query(tenant, query):
    assert browser().get(f"/governance/audit/?{query}").status_code == 200


def test_the_page_pages(tenant):
    for number in range(60):
        services.record_audit("key.changed", actor=ADA, target_id=f"n{number}")
    client = browser()

    first = client.get("/governance/audit/?action=key.changed").content.decode()
    cursor = first.split("cursor=")[1].split('"')[0]
    second = client.get(f"/governance/audit/?action=key.changed&cursor={cursor}").content.decode()

    assert "n59" in first
    assert ">n5<" not in first
    assert ">n5<" in second


def test_a_hold_from_the_page(tenant):
    client = browser()

    client.post("/governance/audit/hold/", {"reason": "case 9"})
    assert [hold.reason for hold in audit_holds()] == ["case 9"]
    assert "Legal hold" in client.get("/governance/audit/").content.decode()
    client.post("/governance/audit/hold/lift/")
    assert audit_holds() == []
    assert client.post("/governance/audit/hold/", {"reason": ""}).status_code == 302


@pytest.mark.parametrize(
    ("role", "status"), [("admin", 200), ("developer", 403), ("billing", 403), ("viewer", 403)]
)
def test_who_reads_the_log(tenant, role, status):
    client = browser(role)

    assert client.get("/governance/audit/").status_code == status
    assert client.get("/governance/audit/export/").status_code == status
