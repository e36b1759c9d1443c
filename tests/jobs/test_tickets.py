"""Work tickets: promised with the change, done once, fairly shared, and never lost with a worker."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from apps.jobs import services as jobs
from apps.jobs.models import TicketState, WorkTicket
from apps.jobs.types import Schedule
from tests.planes import control_plane

LEASE = timedelta(seconds=30)
KIND = "tests.work"


@pytest.fixture
def queue(db) -> str:
    """A queue in which nothing else asks for this kind of work."""
    return "bulk"


def take(queue: str, **more):
    """Claim the next ticket of a queue."""
    return jobs.claim(
        queue, worker="w", lease=more.pop("lease", LEASE), kinds=[KIND], now=more.pop("now", timezone.now())
    )


def promise(queue: str, tenant: UUID | None = None, **more) -> UUID | None:
    """Enqueue one ticket."""
    return jobs.enqueue(KIND, tenant_id=tenant, queue=queue, **more)


def test_a_promise_disappears_with_the_transaction_that_made_it(queue):
    with pytest.raises(RuntimeError), transaction.atomic():
        promise(queue)
        raise RuntimeError

    assert take(queue) is None


def test_asking_twice_for_the_same_work_is_one_ticket_until_somebody_begins_it(queue):
    assert promise(queue, dedupe_key="once") is not None
    assert promise(queue, dedupe_key="once") is None

    assert take(queue) is not None
    assert promise(queue, dedupe_key="once") is not None


def test_a_finished_ticket_is_not_given_out_again(queue):
    promise(queue)
    held = take(queue)

    assert jobs.finish(held, now=timezone.now())
    assert take(queue) is None


def test_a_failed_ticket_comes_back_after_a_pause_and_is_buried_when_its_tries_are_used_up(queue):
    ticket = promise(queue, max_attempts=2)
    now = timezone.now()

    jobs.fail(take(queue), error="first", now=now)
    assert take(queue) is None
    again = take(queue, now=now + timedelta(minutes=10))
    assert again.attempt == 2
    jobs.fail(again, error="second", now=now)

    assert take(queue, now=now + timedelta(days=1)) is None
    row = WorkTicket.objects.get(pk=ticket)
    assert (row.state, row.last_error) == (TicketState.DEAD, "second")
    assert jobs.replay(ticket, now=now)
    assert take(queue).attempt == 1


def test_a_worker_that_died_loses_its_ticket_and_may_not_finish_it_any_more(queue):
    promise(queue)
    dead = take(queue, lease=timedelta(seconds=-1))

    jobs.sweep(now=timezone.now(), schedules=[])
    heir = take(queue)

    assert heir.id == dead.id
    assert not jobs.finish(dead, now=timezone.now())
    assert not jobs.extend(dead, lease=LEASE, now=timezone.now())
    assert jobs.finish(heir, now=timezone.now())


def test_a_ticket_that_kills_its_workers_ends_as_dead_not_as_a_loop(queue):
    ticket = promise(queue, max_attempts=3)

    for _ in range(3):
        assert take(queue, lease=timedelta(seconds=-1)) is not None
        jobs.sweep(now=timezone.now(), schedules=[])

    assert take(queue) is None
    assert WorkTicket.objects.get(pk=ticket).state == TicketState.DEAD


def test_a_quiet_tenant_does_not_wait_behind_a_loud_ones_backlog(queue):
    loud, quiet = uuid4(), uuid4()
    for _ in range(20):
        promise(queue, loud)
    for _ in range(3):
        held = take(queue)
        jobs.finish(held, now=timezone.now())
    promise(queue, quiet)

    assert take(queue).tenant_id == quiet


def test_shares_follow_weight_and_cost(queue):
    light, heavy = uuid4(), uuid4()
    with control_plane():
        jobs.set_share(light, queue=queue, weight=1, in_flight=100)
        jobs.set_share(heavy, queue=queue, weight=3, in_flight=100)
    for _ in range(40):
        promise(queue, light)
        promise(queue, heavy)

    taken = [take(queue).tenant_id for _ in range(20)]

    assert taken.count(heavy) == 15
    assert taken.count(light) == 5


def test_no_tenant_has_more_in_flight_than_its_share_allows(queue):
    tenant = uuid4()
    with control_plane():
        jobs.set_share(tenant, queue=queue, weight=1, in_flight=2)
    for _ in range(5):
        promise(queue, tenant)

    first, second, third = take(queue), take(queue), take(queue)

    assert first and second
    assert third is None
    jobs.finish(first, now=timezone.now())
    assert take(queue) is not None


def test_a_tenant_that_was_away_saves_nothing_up(queue):
    here, away = uuid4(), uuid4()
    for _ in range(30):
        promise(queue, here)
    for _ in range(10):
        jobs.finish(take(queue), now=timezone.now())
    for _ in range(10):
        promise(queue, away)

    taken = [take(queue).tenant_id for _ in range(6)]

    assert taken.count(away) <= 4


def test_scheduled_work_is_one_ticket_per_slot_however_many_sweep(queue):
    schedule = Schedule(kind=KIND, every=60, queue=queue)
    noon = timezone.now().replace(hour=12, minute=0, second=5, microsecond=0)

    for at in (noon, noon + timedelta(seconds=20), noon + timedelta(seconds=61)):
        jobs.sweep(now=at, schedules=[schedule])

    assert WorkTicket.objects.filter(queue=queue, kind=KIND).count() == 2


def test_a_queue_that_no_worker_listens_to_is_refused_before_anything_is_promised(db):
    with pytest.raises(ValueError, match="no queue"):
        promise("nowhere")

    assert not WorkTicket.objects.filter(kind=KIND).exists()
