"""Signed heads: whoever rewrites a log with every right on the database, but without the key, is found."""

import base64
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.governance import audit_tail, looking_after, services
from apps.governance.audit import entry_hash
from apps.governance.audit_heads import START, Head
from apps.governance.errors import AuditChainBroken
from apps.governance.models import AuditEntry, AuditHead
from apps.governance.types import Actor
from apps.jobs.models import WorkTicket
from apps.tenancy.services import in_public, in_tenant
from tests.planes import control_plane

SYSTEM = Actor.system("tests")


@pytest.fixture(autouse=True)
def home(django_db_setup, settings, tmp_path):
    settings.LOCKSTEP_HOME = tmp_path
    return tmp_path


@pytest.fixture
def plane(acme):
    """The control plane inside acme, with every right on its tables."""
    with control_plane(), in_tenant(acme):
        yield acme


def write(many=3):
    for number in range(many):
        services.record_audit("key.changed", actor=SYSTEM, target_kind="key", target_id=number)
    return AuditEntry.objects.latest("sequence").sequence


def sql(text, *values):
    with connection.cursor() as cursor:
        cursor.execute(text.format(t=AuditEntry._meta.db_table, h=AuditHead._meta.db_table), values)


def tampering_with_heads(text, *values):
    """As the owner of the database, who gives himself back what was taken from him."""
    with connection.cursor() as cursor:
        cursor.execute("GRANT UPDATE, DELETE ON public.governance_audithead TO CURRENT_USER")
        cursor.execute("ALTER TABLE public.governance_audithead DISABLE TRIGGER only_grows")
    sql(text, *values)


def rewrite_chain_from(sequence):
    """Make every hash right again, as somebody would who knows how."""
    previous = AuditEntry.objects.filter(sequence__lt=sequence).order_by("-sequence").first()
    digest = bytes(previous.hash) if previous else START
    for entry in AuditEntry.objects.filter(sequence__gte=sequence).order_by("sequence"):
        entry.previous_hash = digest
        entry.hash = digest = entry_hash(entry)
        AuditEntry.objects.filter(sequence=entry.sequence).update(
            previous_hash=entry.previous_hash, hash=entry.hash
        )


def broken(match):
    return pytest.raises(AuditChainBroken, match=match)


def test_a_signed_log_is_intact_and_says_up_to_where_it_is_signed(plane):
    last = write()
    head = services.sign_head(now=timezone.now())
    write(2)

    verdict = services.verify_log()

    assert (head.number, head.sequence, head.is_signed) == (1, last, True)
    assert (verdict.last, verdict.heads, verdict.signed_through) == (last + 2, 1, last)


def test_a_chain_that_was_rewritten_whole_and_rightly_is_found(plane):
    last = write()
    services.sign_head(now=timezone.now())
    AuditEntry.objects.filter(sequence=last - 1).update(target_id="forged")
    rewrite_chain_from(1)

    with broken("it is not the entry that was signed"):
        services.verify_log()


def test_entries_cut_off_at_the_end_are_found_by_the_head_that_covers_them(plane):
    last = write()
    services.sign_head(now=timezone.now())
    AuditEntry.objects.filter(sequence=last).delete()

    with broken(f"from entry {last}: entries at the end are missing"):
        services.verify_log()


def test_an_entry_removed_with_the_rest_moved_up_is_found(plane):
    last = write()
    services.sign_head(now=timezone.now())
    AuditEntry.objects.filter(sequence=last - 1).delete()
    sql("UPDATE {t} SET sequence = sequence - 1 WHERE sequence = %s", last)
    rewrite_chain_from(1)

    with broken("entries at the end are missing"):
        services.verify_log()


def test_an_entry_put_in_between_is_found(plane):
    last = write()
    services.sign_head(now=timezone.now())
    sql("UPDATE {t} SET sequence = sequence + 1 WHERE sequence = %s", last)
    forged = AuditEntry.objects.get(sequence=last - 1)
    forged.sequence, forged.id, forged.target_id = last, uuid7(), "forged"
    forged.save(force_insert=True)
    rewrite_chain_from(1)

    with broken("it is not the entry that was signed"):
        services.verify_log()


def test_entries_that_changed_places_with_right_hashes_are_found(plane):
    last = write()
    services.sign_head(now=timezone.now())
    sql("UPDATE {t} SET sequence = 1000000 WHERE sequence = %s", last)
    sql("UPDATE {t} SET sequence = %s WHERE sequence = %s", last, last - 1)
    sql("UPDATE {t} SET sequence = %s WHERE sequence = 1000000", last - 1)
    rewrite_chain_from(1)

    with broken("it is not the entry that was signed"):
        services.verify_log()


def test_whole_days_removed_together_with_their_heads_are_found_because_heads_are_due_daily(plane):
    now = timezone.now()
    for day in range(6, -1, -1):
        write(1)
        services.sign_head(now=now - timedelta(days=day))
    kept = list(AuditHead.objects.filter(tenant_id=plane.id).order_by("number"))[2]
    AuditEntry.objects.filter(sequence__gt=kept.sequence).delete()
    tampering_with_heads("DELETE FROM {h} WHERE number > %s", kept.number)

    with broken("the newest signed head is of .* and one is due every day"):
        services.verify_log(now=now)


def test_a_tail_removed_with_its_head_is_found_by_a_head_that_was_exported(plane):
    write()
    services.sign_head(now=timezone.now())
    write()
    told = services.sign_head(now=timezone.now())
    AuditEntry.objects.filter(sequence__gt=told.sequence - 3).delete()
    tampering_with_heads("DELETE FROM {h} WHERE number = %s", told.number)
    assert services.verify_log().heads == 1  # without the exported head nobody could tell

    with broken("signed head 2, which was exported, is missing"):
        services.verify_log(told=[told])


def test_a_signature_by_another_key_is_a_forgery(plane, settings):
    last = write()
    services.sign_head(now=timezone.now())
    AuditEntry.objects.filter(sequence=last).update(target_id="forged")
    rewrite_chain_from(1)
    stranger = base64.urlsafe_b64encode(b"x" * 32).decode()
    mine = settings.AUDIT_SIGNING_KEYS
    name = mine[0].partition(":")[0]
    tampering_with_heads("DELETE FROM {h}")
    settings.AUDIT_SIGNING_KEYS = [f"{name}:{stranger}"]
    services.sign_head(now=timezone.now())
    settings.AUDIT_SIGNING_KEYS = mine

    with broken("signed head 1 is forged"):
        services.verify_log()


@pytest.mark.parametrize(
    "change",
    ["sequence = sequence - 1", "hash = decode(repeat('00', 32), 'hex')", "day = day - 1", "kind = 'anchor'",
     "signature = decode(repeat('00', 64), 'hex')", "key_id = 'other'", "at = at - interval '1 hour'",
     "previous = decode(repeat('11', 32), 'hex')"],
)  # fmt: skip
def test_a_head_that_was_edited_is_a_forgery(plane, change):
    write()
    services.sign_head(now=timezone.now())
    tampering_with_heads(f"UPDATE {{h}} SET {change}")

    with broken("signed head 1 is forged"):
        services.verify_log()


def test_a_head_taken_out_of_the_middle_is_found(plane):
    for _ in range(3):
        write(1)
        services.sign_head(now=timezone.now())
    tampering_with_heads("DELETE FROM {h} WHERE number = 2")

    with broken("signed head 2 is missing"):
        services.verify_log()


def test_logs_and_heads_of_two_tenants_that_were_swapped_are_found(acme, globex):
    with control_plane():
        for tenant in (acme, globex):
            with in_tenant(tenant):
                write()
                services.sign_head(now=timezone.now())
        table = AuditEntry._meta.db_table
        sql(f"ALTER TABLE {acme.schema}.{table} RENAME TO swapped")
        sql(f"ALTER TABLE {acme.schema}.swapped SET SCHEMA public")
        sql(f"ALTER TABLE {globex.schema}.{table} SET SCHEMA {acme.schema}")
        sql(f"ALTER TABLE public.swapped SET SCHEMA {globex.schema}")
        sql(f"ALTER TABLE {globex.schema}.swapped RENAME TO {table}")
        for tenant in (acme, globex):
            with in_tenant(tenant), pytest.raises(AuditChainBroken):
                services.verify_log()

        aside = uuid7()
        for one, other in ((acme.id, aside), (globex.id, acme.id), (aside, globex.id)):
            tampering_with_heads("UPDATE {h} SET tenant_id = %s WHERE tenant_id = %s", other, one)
        for tenant in (acme, globex):
            with in_tenant(tenant), broken("signed head 1 is forged"):
                services.verify_log()


def test_the_newest_entries_cut_off_between_two_heads_are_found_by_what_valkey_remembers(fresh_tenant):
    with control_plane(), in_tenant(fresh_tenant()) as tenant:
        last = write()
        assert audit_tail.last_sequence(tenant.id) == last
        assert services.verify_log().last == last
        AuditEntry.objects.filter(sequence=last).delete()

        with broken(f"from entry {last}: entries at the end are missing"):
            services.verify_log()


def test_a_tampered_log_gets_no_new_head_that_would_cover_it_up(plane):
    last = write()
    services.sign_head(now=timezone.now())
    AuditEntry.objects.filter(sequence=last).delete()
    with broken("entries at the end are missing"):
        services.sign_head(now=timezone.now())
    services.record_audit("key.changed", actor=SYSTEM, target_id="instead")

    with broken("it is not the entry that was signed"):
        services.sign_head(now=timezone.now())
    assert AuditHead.objects.filter(tenant_id=plane.id).count() == 1


def test_heads_are_only_added_even_by_the_owner_of_the_table(plane):
    services.sign_head(now=timezone.now())

    for text in ("UPDATE {h} SET day = day", "DELETE FROM {h}", "TRUNCATE {h}"):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            sql(text)
    sql("GRANT UPDATE, DELETE ON public.governance_audithead TO CURRENT_USER")
    for text in ("UPDATE {h} SET day = day", "DELETE FROM {h}"):
        with pytest.raises(DatabaseError, match="only ever added"), transaction.atomic():
            sql(text)


def test_the_tenant_plane_reads_its_own_heads_and_writes_none(acme, globex):
    with control_plane(), in_tenant(globex):
        services.sign_head(now=timezone.now())
    with in_tenant(acme):
        assert AuditHead.objects.count() == 0
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            services.sign_head(now=timezone.now())
    with in_tenant(globex):
        assert AuditHead.objects.count() == 1


def test_keys_rotate_and_what_the_old_one_signed_still_counts(plane, settings):
    old = settings.AUDIT_SIGNING_KEYS[0]
    write()
    services.sign_head(now=timezone.now())
    settings.AUDIT_SIGNING_KEYS = [f"second:{base64.urlsafe_b64encode(b'2' * 32).decode()}", old]
    write()
    assert services.sign_head(now=timezone.now()).key_id == "second"
    assert services.verify_log().heads == 2

    out = StringIO()
    call_command("audit", "public-keys", stdout=out)
    settings.AUDIT_SIGNING_KEYS = []
    with broken("signed head 1 is forged"):
        services.verify_log()
    settings.AUDIT_PUBLIC_KEYS = out.getvalue().strip().split(",")
    assert services.verify_log().heads == 2


def test_the_day_is_signed_once_and_asked_for_until_then(plane, home):
    looking_after.look_after()
    looking_after.look_after()
    assert AuditHead.objects.filter(tenant_id=plane.id).count() == 1

    with in_public():
        looking_after.ask_for_all()
        asked = set(
            WorkTicket.objects.filter(kind="governance.look_after").values_list("tenant_id", flat=True)
        )
    assert plane.id not in asked
    assert asked


def test_a_head_is_told_in_a_file_that_the_command_reads_by_itself(fresh_tenant, home):
    with control_plane(), in_tenant(fresh_tenant()) as tenant:
        write()
        head = services.sign_head(now=timezone.now())
    told = home / "audit-heads" / f"{tenant.id}.jsonl"
    assert Head.of_json(json.loads(told.read_text())) == head

    with control_plane():
        out = StringIO()
        call_command("audit", "verify", tenant.slug, stdout=out)
        assert f"signed up to {head.sequence}" in out.getvalue()
        with in_tenant(tenant):
            AuditEntry.objects.filter(sequence__gte=head.sequence).delete()
            with transaction.atomic():
                tampering_with_heads("DELETE FROM {h} WHERE tenant_id = %s", tenant.id)
                with pytest.raises(CommandError, match="signed head 1, which was exported, is missing"):
                    call_command("audit", "verify", tenant.slug)
                transaction.set_rollback(True)


def test_the_command_signs_exports_and_checks_heads_from_a_file(plane, tmp_path):
    write()
    call_command("audit", "sign", "acme", stdout=StringIO())
    out = StringIO()
    call_command("audit", "heads", "acme", stdout=out)
    kept = tmp_path / "kept.jsonl"
    message = json.dumps({"type": "audit.head", "data": json.loads(out.getvalue())})
    kept.write_text(f"{out.getvalue()}\n2026-11-24 audit head {out.getvalue()}{message}\n")

    call_command("audit", "verify", "acme", "--heads", str(kept), stdout=StringIO())

    with pytest.raises(CommandError, match="another tenant's"):
        call_command("audit", "verify", "globex", "--heads", str(kept), stdout=StringIO())
    kept.write_text("nonsense\n")
    with pytest.raises(CommandError, match=r"Line 1 of .* is not a head"):
        call_command("audit", "verify", "acme", "--heads", str(kept))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("audit", "verify", "acme", "--heads", str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match="Name one tenant"):
        call_command("audit", "verify")


def test_of_all_logs_the_broken_one_is_named(plane):
    write()
    AuditEntry.objects.filter(sequence=1).update(target_id="forged")
    said, complained = StringIO(), StringIO()

    with pytest.raises(CommandError, match=r"\d of the logs do not hold"):
        call_command("audit", "verify", "--all", stdout=said, stderr=complained)

    assert "acme: " in complained.getvalue()
    assert "The audit log of globex is intact" in said.getvalue()
