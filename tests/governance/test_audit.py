"""The audit log: written with the change, never rewritten, and a rewriting that happened anyway is found."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction

from apps.governance import services
from apps.governance.models import AuditEntry
from apps.governance.types import Actor, ActorKind
from apps.tenancy.services import in_tenant
from tests.planes import control_plane

MEMBER = Actor(kind=ActorKind.MEMBER, id="m1", name="Ada\r\n\x1b[31m", address="198.51.100.7")


@pytest.fixture
def log(acme):
    """acme's log with a few entries more; in force while the test runs."""
    with in_tenant(acme):
        for number in range(5):
            services.record_audit(
                "key.issued", actor=MEMBER, target_kind="key", target_id=number, details={"n": number}
            )
        yield acme


def verify() -> str:
    """What the command says."""
    said = StringIO()
    call_command("audit", "verify", "acme", stdout=said)
    return said.getvalue()


def test_an_untouched_log_is_intact_and_the_command_says_how_long_it_is(log):
    count = AuditEntry.objects.count()

    assert verify() == f"The audit log of acme is intact: {count} entries, not signed yet.\n"
    said = StringIO()
    call_command("audit", "verify", "acme", "--json", stdout=said)
    assert json.loads(said.getvalue()) == {
        "tenant": "acme", "intact": True, "entries": count, "first": 1, "last": count, "heads": 0, "signed_through": 0,
    }  # fmt: skip


def test_a_refused_change_leaves_no_entry(log):
    before = AuditEntry.objects.count()

    with pytest.raises(RuntimeError), transaction.atomic():
        services.record_audit("key.revoked", actor=MEMBER)
        raise RuntimeError

    assert AuditEntry.objects.count() == before


def test_control_characters_of_a_name_do_not_reach_the_log(log):
    assert AuditEntry.objects.order_by("-sequence").first().actor_name == "Ada   [31m"


@pytest.mark.parametrize("change", ["UPDATE {t} SET action = 'x'", "DELETE FROM {t}", "TRUNCATE {t}"])
def test_the_tenant_plane_cannot_rewrite_the_log(log, change):
    table = AuditEntry._meta.db_table

    refused = pytest.raises(ProgrammingError, match="permission denied")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change.format(t=table))


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE {t} SET action = 'key.revoked' WHERE sequence = {n}", "its content was changed"),
        ("UPDATE {t} SET details = '{{}}' WHERE sequence = {n}", "its content was changed"),
        ("UPDATE {t} SET actor_id = 'm2' WHERE sequence = {n}", "its content was changed"),
        ("UPDATE {t} SET at = at + interval '1 second' WHERE sequence = {n}", "its content was changed"),
        ("DELETE FROM {t} WHERE sequence = {n}", "entries are missing"),
    ],
)
def test_whoever_rewrites_it_all_the_same_is_found_with_the_place(log, tampering, said):
    place = AuditEntry.objects.order_by("-sequence").first().sequence - 2
    with control_plane(), in_tenant(log), connection.cursor() as cursor:
        cursor.execute(tampering.format(t=AuditEntry._meta.db_table, n=place))

    with pytest.raises(CommandError, match=f"from entry {place}: {said}"):
        verify()


def test_two_entries_that_changed_places_are_found(log):
    last = AuditEntry.objects.order_by("-sequence").first().sequence
    table = AuditEntry._meta.db_table
    with control_plane(), in_tenant(log), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET sequence = 1000000 WHERE sequence = {last}")
        cursor.execute(f"UPDATE {table} SET sequence = {last} WHERE sequence = {last - 1}")
        cursor.execute(f"UPDATE {table} SET sequence = {last - 1} WHERE sequence = 1000000")

    with pytest.raises(CommandError, match=f"from entry {last - 1}"):
        verify()


def test_an_unknown_tenant_is_one_clear_sentence(db):
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        call_command("audit", "verify", "nobody")
