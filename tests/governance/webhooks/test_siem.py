"""The audit log at a SIEM: every entry, in order, none lost however long it was away."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.governance import selectors, services
from apps.governance.errors import InvalidWebhookSettings
from apps.governance.models import AuditEntry, WebhookEndpoint, WebhookEvent
from apps.governance.types import Actor
from apps.governance.webhooks import auditing
from apps.tenancy.services import in_tenant
from tests.governance.webhooks.receiver import receiving
from tests.governance.webhooks.test_delivering import carry, endpoint, is_signed, outcome

SYSTEM = Actor.system("tests")


def write(many):
    for number in range(many):
        services.record_audit("key.changed", actor=SYSTEM, target_kind="key", target_id=number)


def sequences(receiver):
    return [each.json["data"]["sequence"] for each in receiver.got]


def test_entries_arrive_in_order_signed_and_with_all_that_their_hash_covers(fresh_tenant, receiver):
    with in_tenant(fresh_tenant()):
        made = endpoint(receiver, "audit.entry")
        begin = AuditEntry.objects.latest("sequence").sequence
        write(12)

        carry()

        assert sequences(receiver) == list(range(begin + 1, begin + 13))
        last = AuditEntry.objects.latest("sequence")
        got = receiver.got[-1]
        assert is_signed(got, made.secret)
        assert (got.json["type"], got.json["data"]["hash"]) == ("audit.entry", bytes(last.hash).hex())
        assert got.headers["webhook-id"] == f"evt_{last.id.hex}"
        assert WebhookEvent.objects.count() == 0  # no copy of the log is kept
        assert selectors.webhook_endpoint(made.endpoint.id).audit_after == last.sequence


def test_after_a_day_away_it_goes_on_where_it_stopped_and_loses_nothing(fresh_tenant, receiver):
    with in_tenant(fresh_tenant()):
        made = endpoint(receiver, "audit.entry")
        write(2)
        carry()
        receiver.status = 503
        write(3)
        carry()
        now = timezone.now()
        for _ in range(30):  # a day of attempts, an hour apart at most
            now = max(WebhookEndpoint.objects.get().audit_due_at, now)
            taken = auditing.take(made.endpoint.id, now=now)
            auditing.record(taken, outcome(503), now=now)
        assert now - timezone.now() > timedelta(hours=20)
        found = selectors.webhook_endpoint(made.endpoint.id)
        assert found.is_enabled
        assert found.audit_attempts[0]["status"] == 503
        receiver.got.clear()
        receiver.status = 200
        write(1)
        WebhookEndpoint.objects.update(audit_due_at=timezone.now())

        carry()

        last = AuditEntry.objects.latest("sequence").sequence
        assert sequences(receiver) == list(range(last - 3, last + 1))
        assert selectors.webhook_endpoint(made.endpoint.id).failures == 0


def test_an_entry_that_fails_holds_back_those_after_it(fresh_tenant, receiver):
    receiver.answers = [200, 500]
    with in_tenant(fresh_tenant()):
        endpoint(receiver, "audit.entry")
        write(4)
        carry()
        first, second = sequences(receiver)
        assert second == first + 1

        WebhookEndpoint.objects.update(audit_due_at=timezone.now())
        carry()

        assert sequences(receiver) == [first, second, second, second + 1, second + 2]


def test_two_processes_do_not_attempt_the_log_of_one_endpoint_at_once(acme, receiver):
    with in_tenant(acme):
        made = endpoint(receiver, "audit.entry")
        write(2)
        now = timezone.now()
        first = auditing.take(made.endpoint.id, now=now)
        assert auditing.take(made.endpoint.id, now=now) is None
        again = auditing.take(made.endpoint.id, now=now + timedelta(seconds=61))

        assert again.message.message_id == first.message.message_id
        auditing.record(first, outcome(200, ""), now=now)  # its lease is over
        assert (
            selectors.webhook_endpoint(made.endpoint.id).audit_after
            < AuditEntry.objects.latest("sequence").sequence
        )
        auditing.record(again, outcome(200, ""), now=now)
        assert auditing.take(made.endpoint.id, now=now).message.message_id != first.message.message_id


def test_a_disabled_endpoint_keeps_its_place_and_can_go_back(fresh_tenant, receiver):
    with in_tenant(fresh_tenant()):
        made = endpoint(receiver, "audit.entry")
        services.disable_webhook(made.endpoint.id, actor=SYSTEM)
        place = selectors.webhook_endpoint(made.endpoint.id).audit_after
        write(2)
        carry()
        assert receiver.got == []
        services.enable_webhook(made.endpoint.id, actor=SYSTEM)
        carry()
        assert sequences(receiver) == list(
            range(place + 1, AuditEntry.objects.latest("sequence").sequence + 1)
        )

        receiver.got.clear()
        services.replay_webhook_audit(made.endpoint.id, after=0, actor=SYSTEM)
        carry()

        assert sequences(receiver)[:3] == [1, 2, 3]
        with pytest.raises(InvalidWebhookSettings):
            services.replay_webhook_audit(made.endpoint.id, after=10**9, actor=SYSTEM)


def test_another_event_of_the_same_endpoint_does_not_wait_for_the_log(fresh_tenant, receiver):
    receiver.answers = [500]
    with in_tenant(fresh_tenant()):
        endpoint(receiver, "audit.entry")
        write(1)
        carry()
        with receiving() as another:
            endpoint(another, "key.issued", "audit.entry")
            services.emit(
                "key.issued",
                {
                    "id": "1",
                    "name": "n",
                    "key_id": "k",
                    "actor": {},
                    "environment": "live",
                    "scopes": [],
                    "expires_at": None,
                },
            )
            carry()

            assert "key.issued" in another.types()
