"""How long entries are kept: as long as the plan says, longer under a hold, and what stays can still be checked."""

from datetime import timedelta

import pytest
from django.db import ProgrammingError, transaction
from django.utils import timezone

from apps.governance import looking_after, services
from apps.governance.audit import entry_hash
from apps.governance.audit_heads import START
from apps.governance.audit_keeping import audit_holds
from apps.governance.errors import AuditChainBroken, InvalidHold
from apps.governance.models import AuditEntry, AuditHead, OperatorHold
from apps.governance.types import Actor, ActorKind
from apps.tenancy.services import in_tenant
from tests.factories.tenants import entitle
from tests.planes import control_plane

SYSTEM = Actor.system("tests")
OWNER = Actor(kind=ActorKind.MEMBER, id="m1", name="Olga")


@pytest.fixture(autouse=True)
def home(django_db_setup, settings, tmp_path):
    settings.LOCKSTEP_HOME = tmp_path


@pytest.fixture
def old(acme):
    """acme keeps 30 days; five entries are older, signed as such; the control plane acts."""
    with control_plane(), in_tenant(acme):
        entitle(limits={"audit_days": 30})
        for _ in range(5):
            services.record_audit("key.changed", actor=SYSTEM)
        digest, long_ago = START, timezone.now() - timedelta(days=40)
        entries = list(AuditEntry.objects.order_by("sequence"))
        for entry in entries:
            entry.at = long_ago
            entry.previous_hash = digest
            entry.hash = digest = entry_hash(entry)
            AuditEntry.objects.filter(pk=entry.pk).update(
                at=entry.at, previous_hash=entry.previous_hash, hash=entry.hash
            )
        services.sign_head(now=timezone.now())
        services.record_audit("key.changed", actor=SYSTEM, target_id="new")
        yield entries


def test_what_is_older_than_the_plan_keeps_is_removed_and_the_rest_holds_from_a_signed_anchor(old):
    gone = services.remove_expired_audit(now=timezone.now())

    assert gone == len(old)
    assert AuditEntry.objects.order_by("sequence").first().target_id == "new"
    written = AuditEntry.objects.latest("sequence")
    assert (written.action, written.details["through"], written.details["entries"]) == (
        "audit.removed",
        old[-1].sequence,
        len(old),
    )
    verdict = services.verify_log()
    assert (verdict.first, verdict.entries) == (old[-1].sequence + 1, 2)
    assert services.remove_expired_audit(now=timezone.now()) == 0


def test_somebody_who_removes_more_than_the_anchor_says_is_found(old):
    services.remove_expired_audit(now=timezone.now())
    AuditEntry.objects.order_by("sequence").first().delete()

    with pytest.raises(AuditChainBroken, match="entries are missing"):
        services.verify_log()


def test_without_an_anchor_a_removal_of_the_oldest_is_found(old):
    AuditEntry.objects.filter(sequence__lte=2).delete()

    with pytest.raises(AuditChainBroken, match="from entry 1: entries are missing"):
        services.verify_log()


def test_a_plan_that_says_nothing_keeps_everything(old):
    entitle(limits={})

    assert services.remove_expired_audit(now=timezone.now()) == 0
    assert AuditEntry.objects.first() is not None


@pytest.mark.parametrize("actor", [OWNER, Actor(kind=ActorKind.OPERATOR, id="o1", name="Opal")])
def test_nothing_is_removed_under_a_hold_of_either(old, actor):
    services.set_audit_hold(reason="case 4711", actor=actor)
    assert services.remove_expired_audit(now=timezone.now()) == 0
    looking_after.look_after()
    assert AuditEntry.objects.order_by("sequence").first().sequence == 1

    services.lift_audit_hold(actor=actor, reason="closed")

    assert services.remove_expired_audit(now=timezone.now()) == len(old)
    actions = list(AuditEntry.objects.order_by("-sequence").values_list("action", flat=True)[:3])
    assert actions == ["audit.removed", "audit.hold_lifted", "audit.hold_set"]


def test_a_tenant_cannot_lift_an_operators_hold_nor_with_sql(old, acme):
    operator = Actor(kind=ActorKind.OPERATOR, id="o1", name="Opal")
    services.set_audit_hold(reason="subpoena", actor=operator)
    with pytest.raises(InvalidHold, match="held already"):
        services.set_audit_hold(reason="again", actor=operator)

    with pytest.raises(InvalidHold, match="set by an operator, who alone can lift it"):
        services.lift_audit_hold(actor=OWNER)
    services.set_audit_hold(reason="ours", actor=OWNER)
    services.lift_audit_hold(actor=OWNER)

    assert [(hold.by_operator, hold.reason) for hold in audit_holds()] == [(True, "subpoena")]
    assert services.remove_expired_audit(now=timezone.now()) == 0


def test_the_tenant_plane_may_not_touch_operators_holds_or_entries(acme, globex):
    with control_plane(), in_tenant(globex):
        services.set_audit_hold(reason="subpoena", actor=Actor.system())
    with in_tenant(acme):
        assert audit_holds() == []
        assert OperatorHold.objects.count() == 0
    with in_tenant(globex):
        assert [hold.reason for hold in audit_holds()] == ["subpoena"]
        for change in (OperatorHold.objects.all().delete, lambda: OperatorHold.objects.update(reason="")):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                change()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 301])
def test_a_hold_has_a_reason(acme, reason):
    with in_tenant(acme), pytest.raises(InvalidHold):
        services.set_audit_hold(reason=reason, actor=OWNER)


def test_what_an_endpoint_has_yet_to_be_told_is_not_removed(old, settings):
    settings.WEBHOOK_ALLOW_LOCAL = True
    made = services.create_webhook(actor=SYSTEM, url="http://127.0.0.1:9/", events=["audit.entry"])
    services.replay_webhook_audit(made.endpoint.id, after=2, actor=SYSTEM)

    assert services.remove_expired_audit(now=timezone.now()) == 2
    assert AuditEntry.objects.order_by("sequence").first().sequence == 3
    services.disable_webhook(made.endpoint.id, actor=SYSTEM)
    assert services.remove_expired_audit(now=timezone.now()) == len(old) - 2
    assert services.verify_log().first == len(old) + 1
    assert AuditHead.objects.filter(kind="anchor").count() == 2
