"""What operators do to a tenant is in that tenant's own log, with the operator's name and the reason."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.governance.models import AuditEntry, OperatorAuditEntry
from apps.governance.services import create_webhook
from apps.governance.types import Actor
from apps.tenancy.services import in_tenant
from tests.factories.keys import make_key, make_service_account


@pytest.fixture
def entries(acme: Any) -> Callable[[], list[AuditEntry]]:
    """Entries of acme's log by operators, oldest first."""

    def read() -> list[AuditEntry]:
        with in_tenant(acme):
            return list(AuditEntry.objects.filter(actor_kind="operator").order_by("sequence"))

    return read


def _do(desk: Client, acme: Any, action: str, **answers: Any) -> None:
    url = f"/tenancy/tenant/{acme.id}/do/{action}/"
    done = desk.post(url, {"reason": "ticket 4711", **answers})
    assert done.status_code == 302, done.content.decode()[-2000:]


def test_suspending_and_resuming_holding_and_lifting(
    desk: Client, acme: Any, entries: Callable[[], list[AuditEntry]]
) -> None:
    for action in ("suspend", "resume", "hold-audit", "lift-audit-hold"):
        _do(desk, acme, action)

    assert [entry.action for entry in entries()] == [
        "tenant.suspended", "tenant.resumed", "audit.hold_set", "audit.hold_lifted",
    ]  # fmt: skip
    assert {entry.details["reason"] for entry in entries()} == {"ticket 4711"}
    assert {entry.actor_name for entry in entries()} == {"Opal"}
    assert OperatorAuditEntry.objects.filter(action="audit.hold_set", tenant_id=acme.id).count() == 1


def test_revoking_a_key(desk: Client, acme: Any, entries: Callable[[], list[AuditEntry]]) -> None:
    with in_tenant(acme):
        key = make_key(service_account_id=make_service_account().id).key

    _do(desk, acme, "revoke-key", key_id=key.key_id)

    (entry,) = entries()
    assert (entry.action, entry.target_id, entry.details["reason"]) == (
        "key.revoked",
        str(key.id),
        "ticket 4711",
    )


def test_inviting_an_owner(desk: Client, acme: Any, entries: Callable[[], list[AuditEntry]]) -> None:
    _do(desk, acme, "invite-owner", email="new@acme.example", name="New")

    (entry,) = entries()
    assert (entry.action, entry.details["email"]) == ("member.created", "new@acme.example")


def test_changing_what_a_tenant_is_called(
    desk: Client, acme: Any, entries: Callable[[], list[AuditEntry]], form_of: Callable[[str], dict[str, Any]]
) -> None:
    url = f"/tenancy/tenant/{acme.id}/change/"
    sent = form_of(url) | {"name": "Acme and Sons"}

    assert desk.post(url, sent).status_code == 302

    (entry,) = entries()
    assert (entry.action, entry.details["name"]) == ("tenant.changed", "Acme and Sons")
    assert entry.details["hosts"] == ["acme.localhost"]


def test_a_tenants_endpoints_are_seen_without_their_paths(desk: Client, acme: Any, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_LOCAL = True
    with in_tenant(acme):
        create_webhook(actor=Actor.system(), url="http://localhost:9/path-that-is-secret", events=["key.*"])

    page = desk.get(f"/tenancy/tenant/{acme.id}/show/webhooks/").content.decode()

    assert "localhost:9" in page
    assert "path-that-is-secret" not in page


def test_holds_are_told_on_the_page_of_the_log(desk: Client, acme: Any) -> None:
    _do(desk, acme, "hold-audit")

    page = desk.get(f"/tenancy/tenant/{acme.id}/show/audit/").content.decode()

    assert "ticket 4711" in page
    assert "audit.hold_set" in page
