"""Tickets from asking to done. The caller is in a scope that sees the shared tables; each call is one transaction."""

import logging
import random
import uuid
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from uuid_utils.compat import uuid7

from apps.jobs.models import Share, TicketState, WorkTicket
from apps.jobs.running import held as held
from apps.jobs.running import is_last_try as is_last_try
from apps.jobs.types import PLATFORM, Claim, Schedule

log = logging.getLogger(__name__)

_SLOTS = uuid.UUID("6f3f6a2e-93c5-5d0b-9d0e-2f7f3a9f3c11")  # namespace of scheduled tickets' ids


def enqueue(
    kind: str,
    *,
    tenant_id: UUID | None,
    payload: dict[str, Any] | None = None,
    queue: str = "default",
    dedupe_key: str = "",
    due_at: datetime | None = None,
    cost: int = 1,
    max_attempts: int = 5,
) -> UUID | None:
    """Promise a piece of work in the caller's transaction and ring for it when that commits.

    `kind` is a Celery task's name; the worker runs it with `payload` as keyword arguments and the tenant in
    force. Returns the ticket's id, or None where a ready ticket with this dedupe key promises it already.
    """
    if queue not in settings.QUEUES:
        raise ValueError(f"There is no queue {queue!r} that a worker listens to.")
    ticket = WorkTicket(
        kind=kind,
        tenant_id=tenant_id or PLATFORM,
        queue=queue,
        payload=payload or {},
        dedupe_key=dedupe_key,
        due_at=due_at or timezone.now(),
        cost=cost,
        max_attempts=max_attempts,
    )
    made = WorkTicket.objects.bulk_create([ticket], ignore_conflicts=bool(dedupe_key))[0]
    if dedupe_key and not WorkTicket.objects.filter(pk=made.pk).exists():
        return None
    if ticket.due_at <= timezone.now():
        transaction.on_commit(lambda: ring(queue))
    return made.pk


def ring(queue: str) -> None:
    """Wake a worker of a queue. Losing the bell loses nothing: the sweeper rings again."""
    try:
        current_app.send_task("jobs.work", kwargs={"queue": queue}, queue=queue, expires=60, retry=False)
    except (OperationalError, RedisError) as away:
        log.warning("bell for queue %s not rung: %s", queue, away)


_CLAIM = """
WITH RECURSIVE waiting AS (
    (SELECT tenant_id FROM jobs_workticket
      WHERE queue = %(queue)s AND state = 'ready' ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.tenant_id FROM jobs_workticket t
             WHERE t.queue = %(queue)s AND t.state = 'ready' AND t.tenant_id > waiting.tenant_id
             ORDER BY t.tenant_id LIMIT 1)
      FROM waiting WHERE waiting.tenant_id IS NOT NULL
), busy AS (
    SELECT tenant_id, count(*) AS running FROM jobs_workticket
     WHERE queue = %(queue)s AND state = 'running' GROUP BY tenant_id
), next AS (
    SELECT head.id, head.cost, waiting.tenant_id, coalesce(share.served, 0) AS served,
           coalesce(share.weight, 1) AS weight
      FROM waiting
      CROSS JOIN LATERAL (
        SELECT id, cost, due_at FROM jobs_workticket t
         WHERE t.queue = %(queue)s AND t.state = 'ready' AND t.tenant_id = waiting.tenant_id
           AND t.due_at <= %(now)s AND t.kind = ANY(%(kinds)s)
         ORDER BY t.due_at LIMIT 1) AS head
      LEFT JOIN jobs_share share ON share.tenant_id = waiting.tenant_id AND share.queue = %(queue)s
      LEFT JOIN busy ON busy.tenant_id = waiting.tenant_id
     WHERE coalesce(busy.running, 0) < coalesce(share.in_flight, 8)
     ORDER BY coalesce(share.served, 0), head.due_at
)
SELECT id, cost, tenant_id, served, weight FROM next LIMIT 1
"""


def claim(queue: str, *, worker: str, lease: timedelta, kinds: list[str], now: datetime) -> Claim | None:
    """Take the next ready ticket of a queue, the tenant that has had least first; None where nothing is due.

    Weighted fair queueing: each claim adds the ticket's cost, divided by the tenant's weight, to what the tenant
    has had. A tenant that was idle starts at the level of the one served now, so idleness saves nothing up.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # One chooser at a time per queue; the choice itself takes well under a millisecond.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 13))", (f"jobs:{queue}",))
        cursor.execute(_CLAIM, {"queue": queue, "now": now, "kinds": kinds})
        found = cursor.fetchone()
        if found is None:
            return None
        ticket_id, cost, tenant_id, served, weight = found
        ticket = WorkTicket.objects.get(pk=ticket_id)
        ticket.state = TicketState.RUNNING
        ticket.attempts += 1
        ticket.lease_token = uuid7()
        ticket.lease_until = now + lease
        ticket.worker = worker
        ticket.started_at = now
        ticket.save()
        cursor.execute(
            "INSERT INTO jobs_share (tenant_id, queue, served, weight, in_flight) VALUES (%s, %s, %s, 1, 8) "
            "ON CONFLICT (tenant_id, queue) DO UPDATE SET served = excluded.served",
            (tenant_id, queue, max(served, _level(queue)) + cost / weight),
        )
    return Claim(
        id=ticket.pk,
        kind=ticket.kind,
        tenant_id=None if tenant_id == PLATFORM else tenant_id,
        payload=ticket.payload,
        token=ticket.lease_token,
        attempt=ticket.attempts,
        max_attempts=ticket.max_attempts,
    )


def _level(queue: str) -> float:
    """What the least-served tenant with work in this queue has had."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(s.served) FROM jobs_share s WHERE s.queue = %s AND EXISTS ("
            "SELECT 1 FROM jobs_workticket t WHERE t.queue = s.queue AND t.tenant_id = s.tenant_id "
            "AND t.state IN ('ready', 'running'))",
            (queue,),
        )
        return cursor.fetchone()[0] or 0.0


def extend(claim: Claim, *, lease: timedelta, now: datetime) -> bool:
    """Keep a ticket longer; False where the lease was lost to somebody else, who now owns the work."""
    return _held(claim).update(lease_until=now + lease) == 1


def finish(claim: Claim, *, now: datetime) -> bool:
    """Say that the work is done; False where the lease was lost meanwhile."""
    return _held(claim).update(state=TicketState.DONE, finished_at=now, lease_until=None, last_error="") == 1


def fail(claim: Claim, *, error: str, now: datetime, retry_after: timedelta | None = None) -> bool:
    """Give a ticket back for another try after a growing pause, or bury it when its tries are used up."""
    if claim.attempt >= claim.max_attempts:
        return (
            _held(claim).update(
                state=TicketState.DEAD, last_error=error[:2000], finished_at=now, lease_until=None
            )
            == 1
        )
    pause = retry_after or timedelta(seconds=min(2**claim.attempt, 300) * random.uniform(0.5, 1.0))  # noqa: S311
    return (
        _held(claim).update(
            state=TicketState.READY, last_error=error[:2000], due_at=now + pause, lease_until=None
        )
        == 1
    )


def _held(claim: Claim) -> Any:
    return WorkTicket.objects.filter(pk=claim.id, state=TicketState.RUNNING, lease_token=claim.token)


def sweep(*, now: datetime, schedules: list[Schedule]) -> dict[str, int]:
    """Put scheduled work and abandoned tickets back to ready, and ring for every queue with due work.

    Returns how many tickets are ready by queue. Run by any number of beats at once: a slot's ticket has an id
    made of its schedule and time, and a lease is taken back by one UPDATE.
    """
    for schedule in schedules:
        slot = int(now.timestamp()) // schedule.every
        ticket = WorkTicket(
            id=uuid.uuid5(_SLOTS, f"{schedule.kind}:{slot}"),
            kind=schedule.kind,
            queue=schedule.queue,
            payload=schedule.payload,
            due_at=now,
            max_attempts=3,
        )
        WorkTicket.objects.bulk_create([ticket], ignore_conflicts=True)
    lapsed = WorkTicket.objects.filter(state=TicketState.RUNNING, lease_until__lt=now)
    for row in lapsed.only("pk", "attempts", "max_attempts", "lease_token"):
        # A worker that dies takes its try with it: a ticket that kills workers ends as dead, not as a loop.
        state = TicketState.DEAD if row.attempts >= row.max_attempts else TicketState.READY
        lapsed.filter(pk=row.pk, lease_token=row.lease_token).update(
            state=state, due_at=now, lease_until=None, last_error="The worker stopped answering."
        )
    ready = dict(
        WorkTicket.objects.filter(state=TicketState.READY, due_at__lte=now)
        .values_list("queue")
        .annotate(Count("id"))
    )
    for queue, count in ready.items():
        for _ in range(min(count, 8)):
            ring(queue)
    return ready


def replay(ticket_id: UUID, *, now: datetime) -> bool:
    """Give a dead ticket a fresh set of tries; False where it is not dead."""
    replayed = WorkTicket.objects.filter(pk=ticket_id, state=TicketState.DEAD).update(
        state=TicketState.READY, attempts=0, due_at=now, finished_at=None
    )
    return replayed == 1


def purge(*, before: datetime) -> int:
    """Forget done tickets from before a moment. Dead ones stay until somebody looks. Control plane."""
    gone, _ = WorkTicket.objects.filter(state=TicketState.DONE, finished_at__lt=before).delete()
    return gone


def set_share(tenant_id: UUID, *, queue: str, weight: float, in_flight: int) -> None:
    """What a tenant's plan gives it of a queue."""
    Share.objects.update_or_create(
        tenant_id=tenant_id, queue=queue, defaults={"weight": weight, "in_flight": in_flight}
    )


def waiting() -> list[dict[str, Any]]:
    """Depth, age and failures by queue, for metrics and the operator's dashboard."""
    counted = (
        WorkTicket.objects.values("queue")
        .annotate(
            ready=Count("id", filter=Q(state=TicketState.READY)),
            running=Count("id", filter=Q(state=TicketState.RUNNING)),
            dead=Count("id", filter=Q(state=TicketState.DEAD)),
        )
        .order_by("queue")
    )
    return [dict(row) for row in counted]
