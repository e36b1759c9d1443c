"""From the change to the endpoint: nothing without its change, everything at least once, nobody held up."""

import base64
import hashlib
import hmac
import time
from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from apps.governance import selectors, services
from apps.governance.models import AuditEntry, WebhookDelivery, WebhookEndpoint, WebhookEvent
from apps.governance.types import Actor
from apps.governance.webhooks import delivering, schedule
from apps.governance.webhooks.courier import courier
from apps.governance.webhooks.sending import Outcome
from apps.identity.tasks import tell_of_disabled_webhook
from apps.jobs.models import WorkTicket
from apps.tenancy.services import in_public, in_tenant
from tests.factories.keys import make_key, make_member
from tests.governance.webhooks.receiver import receiving

SYSTEM = Actor.system("tests")


def endpoint(receiver, *events, actor=SYSTEM):
    return services.create_webhook(actor=actor, url=receiver.url, events=list(events or ["*"]))


def carry():
    """What a worker does with a ticket, until nothing is under way."""
    courier().look()
    assert courier().wait(30)


def is_signed(received, secret):
    text = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.new(key, text + received.body, hashlib.sha256).digest()).decode()
    return wanted in received.headers["webhook-signature"].split(" ")


def outcome(status=500, error="It answered 500.", **more):
    return Outcome(at=time.time(), status=status, milliseconds=5, error=error, **more)


def test_issuing_a_key_is_told_signed_with_what_was_done(fresh_tenant, receiver):
    tenant = fresh_tenant()
    with in_tenant(tenant):
        made = endpoint(receiver, "key.*")
        issued = make_key(name="checkout")

        carry()

        (got,) = receiver.got
        assert is_signed(got, made.secret)
        assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 10
        assert got.json["id"] == got.headers["webhook-id"]
        assert (got.json["type"], got.json["tenant"]["slug"]) == ("key.issued", tenant.slug)
        assert got.json["data"]["id"] == str(issued.key.id)
        assert got.json["data"]["name"] == "checkout"
        assert issued.secret.encode() not in got.body
        (delivery,) = selectors.webhook_deliveries(made.endpoint.id)
        assert (delivery.state, delivery.attempts[0]["status"]) == ("delivered", 200)
        assert delivery.attempts[0]["excerpt"] == "thank you"


def test_what_is_rolled_back_is_not_told(acme, receiver):
    with in_tenant(acme):
        endpoint(receiver)
        before = WorkTicket.objects.filter(kind="governance.deliver_webhooks").count()

        with pytest.raises(RuntimeError), transaction.atomic():
            make_key()
            raise RuntimeError

        assert WebhookEvent.objects.count() == 0
        assert WorkTicket.objects.filter(kind="governance.deliver_webhooks").count() == before


def test_an_event_that_nobody_wants_is_not_written(acme, receiver):
    with in_tenant(acme):
        endpoint(receiver, "budget.*", "invoice.paid")
        make_key()

        assert WebhookEvent.objects.count() == 0


def test_an_unknown_event_and_one_without_its_members_is_a_mistake(acme):
    with in_tenant(acme):
        with pytest.raises(ValueError, match=r"budget\.gone"):
            services.emit("budget.gone", {})
        with pytest.raises(ValueError, match=r"budget\.alert lacks percent"):
            services.emit(
                "budget.alert",
                dict.fromkeys(
                    ["id", "level", "subject_id", "window", "unit", "amount", "hard", "spent", "resets_at"]
                ),
            )


def test_another_tenants_endpoints_hear_nothing(fresh_tenant, receiver):
    one, other = fresh_tenant(), fresh_tenant()
    with in_tenant(other):
        endpoint(receiver)
    with in_tenant(one):
        make_key()
        carry()
    with in_tenant(other):
        carry()

    assert receiver.got == []


def test_a_failed_attempt_is_made_again_later_under_the_same_id(fresh_tenant, receiver):
    receiver.answers = [500]
    with in_tenant(fresh_tenant()):
        made = endpoint(receiver, "key.issued")
        make_key()
        carry()
        waiting = WebhookDelivery.objects.get()
        pause = waiting.due_at - timezone.now()
        assert (waiting.state, waiting.tries) == ("waiting", 1)
        assert timedelta(seconds=2) < pause <= timedelta(seconds=6)
        with in_public():
            assert WorkTicket.objects.filter(
                kind="governance.deliver_webhooks", due_at=waiting.due_at
            ).exists()
        carry()  # not due yet
        assert len(receiver.got) == 1

        WebhookDelivery.objects.update(due_at=timezone.now())
        carry()

        assert [each.headers["webhook-id"] for each in receiver.got] == [receiver.got[0].json["id"]] * 2
        (delivery,) = selectors.webhook_deliveries(made.endpoint.id)
        assert (delivery.state, [each["status"] for each in delivery.attempts]) == ("delivered", [200, 500])
        assert selectors.webhook_endpoint(made.endpoint.id).failures == 0


def test_eleven_attempts_over_about_a_day_and_then_it_is_given_up(acme, receiver):
    with in_tenant(acme):
        made = endpoint(receiver, "key.issued")
        make_key()
        now = begin = timezone.now()
        for number in range(schedule.MOST_TRIES):
            taken = delivering.take(made.endpoint.id, now=now)
            assert taken is not None
            delivering.record(taken, outcome(), now=now)
            row = WebhookDelivery.objects.get()
            assert row.tries == number + 1
            now = row.due_at

        assert row.state == "failed"
        assert timedelta(hours=18) < now - begin < timedelta(hours=29)
        assert delivering.take(made.endpoint.id, now=now + timedelta(days=9)) is None
        assert selectors.webhook_endpoint(made.endpoint.id).is_enabled


def test_retry_after_is_heeded(acme, receiver):
    with in_tenant(acme):
        made = endpoint(receiver, "key.issued")
        make_key()
        now = timezone.now()

        delivering.record(delivering.take(made.endpoint.id, now=now), outcome(503, retry_after=900), now=now)

        assert WebhookDelivery.objects.get().due_at == now + timedelta(seconds=900)


def test_one_slow_endpoint_holds_up_neither_its_tenants_others_nor_other_tenants(fresh_tenant, receiver):
    one, other = fresh_tenant(), fresh_tenant()
    with receiving(pause=6) as slow:
        with in_tenant(one):
            endpoint(slow, "key.issued")
            for _ in range(4):
                make_key()
            courier().look()
            began = time.monotonic()
            endpoint(receiver, "key.issued")
            make_key()
            courier().look()
        with in_tenant(other):
            endpoint(receiver, "key.issued")
            make_key()
            courier().look()

        while len(receiver.got) < 2:
            assert time.monotonic() - began < 4
            time.sleep(0.05)
        assert len(slow.got) == 2  # two at a time, and no more
        assert courier().wait(40)


def test_an_attempt_whose_process_died_is_made_again_when_its_lease_ends(acme, receiver):
    with in_tenant(acme):
        made = endpoint(receiver, "key.issued")
        make_key()
        now = timezone.now()
        lost = delivering.take(made.endpoint.id, now=now)
        assert delivering.take(made.endpoint.id, now=now) is None
        with in_public():
            net = WorkTicket.objects.get(kind="governance.deliver_webhooks", dedupe_key=f"net:{acme.ref}")
            assert net.due_at == now + delivering.LEASE + timedelta(seconds=5)

        again = delivering.take(made.endpoint.id, now=now + delivering.LEASE)

        assert again.message.message_id == lost.message.message_id
        assert again.message.body == lost.message.body
        delivering.record(lost, outcome(200, ""), now=now)  # comes too late to decide anything
        assert WebhookDelivery.objects.get().state == "waiting"
        delivering.record(again, outcome(200, ""), now=now)
        assert WebhookDelivery.objects.get().state == "delivered"


def test_an_endpoint_that_answers_410_is_disabled_at_once_with_notice(fresh_tenant, receiver):
    receiver.status = 410
    with in_tenant(fresh_tenant()):
        owner, viewer = make_member("owner"), make_member("viewer")
        made = endpoint(receiver, "key.issued")
        make_key()
        carry()
        found = selectors.webhook_endpoint(made.endpoint.id)
        assert (found.state, found.disabled_because) == ("disabled", "gone")
        entry = AuditEntry.objects.get(action="webhook.disabled")
        assert (entry.target_id, entry.details["because"]) == (str(found.id), "gone")
        with in_public():
            ticket = WorkTicket.objects.get(
                kind="identity.tell_of_disabled_webhook", payload={"endpoint_id": str(found.id)}
            )
        mail.outbox.clear()

        tell_of_disabled_webhook.run(**ticket.payload)

        assert [message.to for message in mail.outbox] == [[owner.email]]
        assert receiver.url in mail.outbox[0].body
        assert viewer.email != owner.email
        make_key()
        carry()
        assert len(receiver.got) == 1


def test_an_endpoint_is_disabled_after_three_days_and_twenty_failures_and_not_before(acme, receiver):
    with in_tenant(acme):
        made = endpoint(receiver, "key.issued")

        def fail(later):
            make_key()
            now = timezone.now() + later
            WebhookDelivery.objects.exclude(state="waiting").delete()
            delivering.record(delivering.take(made.endpoint.id, now=now), outcome(), now=now)
            WebhookDelivery.objects.all().delete()
            return selectors.webhook_endpoint(made.endpoint.id)

        for _ in range(25):
            found = fail(timedelta(0))
        assert (found.is_enabled, found.failures) == (True, 25)
        assert fail(timedelta(days=2, hours=23)).is_enabled

        found = fail(timedelta(days=3, minutes=1))

        assert (found.state, found.disabled_because) == ("disabled", "failing")


def test_a_replay_sends_what_failed_again_with_all_its_tries(fresh_tenant, receiver):
    receiver.answers = [400, 400]
    with in_tenant(fresh_tenant()):
        made = endpoint(receiver, "key.issued")
        make_key()
        make_key()
        carry()
        begin = timezone.now() - timedelta(minutes=1)
        WebhookDelivery.objects.update(state="failed", finished_at=timezone.now(), tries=11)

        assert services.replay_failed_webhooks(made.endpoint.id, since=timezone.now(), actor=SYSTEM) == 0
        assert services.replay_failed_webhooks(made.endpoint.id, since=begin, actor=SYSTEM) == 2
        carry()

        assert [each.state for each in selectors.webhook_deliveries(made.endpoint.id)] == ["delivered"] * 2
        first, second = (each.headers["webhook-id"] for each in receiver.got[:2])
        assert {each.headers["webhook-id"] for each in receiver.got[2:]} == {first, second}
        delivery = selectors.webhook_deliveries(made.endpoint.id)[0]
        services.replay_webhook_delivery(made.endpoint.id, delivery.id, actor=SYSTEM)
        carry()
        assert len(receiver.got) == 5


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one_only(fresh_tenant, receiver):
    with in_tenant(fresh_tenant()):
        made = endpoint(receiver, "key.issued")
        rotated = services.rotate_webhook_secret(made.endpoint.id, actor=SYSTEM, overlap=timedelta(hours=1))
        make_key()
        carry()
        assert is_signed(receiver.got[0], made.secret)
        assert is_signed(receiver.got[0], rotated.secret)

        WebhookEndpoint.objects.update(previous_until=timezone.now())
        make_key()
        carry()

        assert not is_signed(receiver.got[1], made.secret)
        assert is_signed(receiver.got[1], rotated.secret)


def test_a_secret_is_sealed_at_rest_and_for_its_place(acme, receiver):
    with in_tenant(acme):
        one, other = endpoint(receiver), endpoint(receiver)
        row = WebhookEndpoint.objects.get(pk=one.endpoint.id)
        assert base64.b64decode(one.secret.removeprefix("whsec_")) not in bytes(row.secret)
        assert one.secret.encode() not in bytes(row.secret)
        assert delivering.secrets_of(row, timezone.now()) == [one.secret]

        row.secret = WebhookEndpoint.objects.get(pk=other.endpoint.id).secret

        with pytest.raises(RuntimeError):
            delivering.secrets_of(row, timezone.now())
        assert one.secret not in str(AuditEntry.objects.values_list("details", flat=True))


def test_a_test_event_goes_to_the_one_endpoint(fresh_tenant, receiver):
    with receiving() as another, in_tenant(fresh_tenant()):
        made = endpoint(receiver, "invoice.paid")
        endpoint(another, "*")

        services.send_webhook_test(made.endpoint.id, actor=SYSTEM)
        carry()

        assert (receiver.types(), another.types()) == (["webhook.test"], [])
