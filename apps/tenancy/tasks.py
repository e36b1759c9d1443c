"""The worker's two Celery tasks: answering the bell, and sweeping for what no bell announced.

Every other task runs inside a ticket, so its tenant comes with the ticket. There is no other way to run one.
"""

import logging
import socket
import threading
import time
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from apps.errors import DomainError
from apps.jobs import services as jobs
from apps.jobs.platform import platform_task
from apps.jobs.types import Claim, Schedule
from apps.tenancy import context, selectors, services

log = logging.getLogger(__name__)

_LEASE = timedelta(seconds=60)
_MOST_SECONDS = 30.0  # after which a worker goes back to its queue, so that shutdown and fairness get a turn


@platform_task("jobs.work", every_plan="runs the others, each of which has its own gate")
def work(queue: str) -> int:
    """Work through what is ready in a queue, fairly over tenants; returns how many tickets were taken."""
    taken, until = 0, time.monotonic() + _MOST_SECONDS
    try:
        while time.monotonic() < until:
            with context.in_public():
                held = jobs.claim(
                    queue,
                    worker=_worker_name(),
                    lease=_LEASE,
                    kinds=list(current_app.tasks),
                    now=timezone.now(),
                )
            if held is None:
                return taken
            taken += 1
            run_ticket(held)
        jobs.ring(queue)
        return taken
    finally:
        connection.close()


def run_ticket(held: Claim) -> None:
    """Run one claimed ticket with its tenant in force and write down how it ended."""
    with _Heartbeat(held):
        try:
            jobs.held.set(held)
            with _scope_of(held):
                current_app.tasks[held.kind].run(**held.payload)
        except Exception as error:
            expected = isinstance(error, DomainError)
            log.log(
                logging.WARNING if expected else logging.ERROR,
                "ticket %s %s failed on try %s: %s",
                held.id,
                held.kind,
                held.attempt,
                error,
                exc_info=not expected,
            )
            close_old_connections()
            with context.in_public():
                jobs.fail(held, error=f"{type(error).__name__}: {error}", now=timezone.now())
            return
    with context.in_public():
        if not jobs.finish(held, now=timezone.now()):
            log.warning("ticket %s %s was taken over before it finished", held.id, held.kind)


def _scope_of(held: Claim) -> AbstractContextManager[Any]:
    if held.tenant_id is None:
        return context.in_public()
    return services.in_tenant(selectors.tenant_by_id(held.tenant_id))


class _Heartbeat:
    """Extends a ticket's lease while its task runs, from a thread of its own with a connection of its own."""

    def __init__(self, held: Claim) -> None:
        self.held = held
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stopped.set()

    def _beat(self) -> None:
        while not self.stopped.wait(_LEASE.total_seconds() / 3):
            try:
                with context.in_public():
                    held = jobs.extend(self.held, lease=_LEASE, now=timezone.now())
                if not held:
                    return
            except Exception:
                log.warning("lease of ticket %s not extended", self.held.id, exc_info=True)
            finally:
                connection.close()


@platform_task("jobs.sweep", every_plan="the platform's own clock")
def sweep() -> dict[str, int]:
    """What beat rings every few seconds: schedules, lapsed leases, and bells that were lost."""
    try:
        with context.in_public():
            return jobs.sweep(
                now=timezone.now(), schedules=[Schedule(**entry) for entry in settings.SCHEDULES]
            )
    finally:
        connection.close()


@platform_task("tenancy.erase_due_tenants", every_plan="erasing is owed to everybody")
def erase_due_tenants() -> None:
    """Erase each tenant whose grace time has passed."""
    services.erase_due_tenants(timezone.now())


@platform_task("tenancy.refill_spare_schemas", every_plan="the platform's own stock")
def refill_spare_schemas() -> None:
    """Keep empty schemas ready for sign-ups."""
    services.refill_spare_schemas(settings.SPARE_SCHEMAS)


@platform_task("tenancy.purge_tickets", every_plan="the platform's own books")
def purge_tickets() -> None:
    """Forget tickets done a week ago."""
    jobs.purge(before=timezone.now() - timedelta(days=7))


def _worker_name() -> str:
    return f"{socket.gethostname()}:{threading.get_ident()}"
