"""Work tickets in the operator admin: what waits, runs, failed; and trying a dead one again."""

from typing import Any

from django.contrib import admin
from django.db import IntegrityError
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from apps.errors import DomainError
from apps.jobs import services
from apps.jobs.models import PLATFORM, TicketState, WorkTicket
from apps.operator_site.forms import RowForm
from apps.operator_site.pages import OperatorPage
from apps.operator_site.site import site
from apps.operator_site.types import Panel, RowAction


def _replay(request: HttpRequest, ticket: WorkTicket, answers: dict[str, Any]) -> str:
    try:
        replayed = services.replay(ticket.pk, now=timezone.now())
    except IntegrityError:
        raise DomainError("The same work has been asked for again meanwhile and is ready already.") from None
    if not replayed:
        raise DomainError("This ticket is not dead any more.")
    site.record(
        request,
        "ticket.replayed",
        target_kind="ticket",
        target_id=ticket.pk,
        details={"kind": ticket.kind, "last_error": ticket.last_error[:300]},
    )
    return f"{ticket.kind} is ready again and will be tried anew."


@admin.register(WorkTicket)
class WorkTicketPage(OperatorPage):
    may_add = may_change = may_delete = False
    list_display = [
        "kind",
        "shown_state",
        "queue",
        "belongs_to",
        "attempts",
        "due_at",
        "worker",
        "short_error",
    ]
    list_filter = ["state", "queue", "kind"]
    search_fields = ["id", "kind", "tenant_id", "last_error"]
    ordering = ["-created_at"]
    show_full_result_count = False  # there can be millions
    row_actions = [
        RowAction(
            name="replay",
            label="Try again",
            run=_replay,
            form=RowForm,
            explanation="The ticket becomes ready with all its tries. Its task may run twice without harm.",
            applies=lambda ticket: ticket.state == TicketState.DEAD,
        )
    ]

    @display(
        description="State",
        ordering="state",
        label={"dead": "danger", "done": "success", "running": "info", "ready": "warning"},
    )
    def shown_state(self, ticket: WorkTicket) -> str:
        return ticket.state

    @display(description="Tenant", ordering="tenant_id")
    def belongs_to(self, ticket: WorkTicket) -> str:
        return "the platform" if ticket.tenant_id == PLATFORM else str(ticket.tenant_id)

    @display(description="Last error")
    def short_error(self, ticket: WorkTicket) -> str:
        return ticket.last_error.splitlines()[0][:80] if ticket.last_error else ""


def _tickets(request: HttpRequest) -> dict[str, Any]:
    counted = dict(
        WorkTicket.objects.exclude(state=TicketState.DONE)
        .values_list("state")
        .annotate(many=Count("id"))
        .order_by()
    )
    failing = WorkTicket.objects.exclude(last_error="").exclude(state=TicketState.DONE)
    return {
        "ready": counted.get(TicketState.READY, 0),
        "running": counted.get(TicketState.RUNNING, 0),
        "dead": counted.get(TicketState.DEAD, 0),
        "failing": failing.order_by("-created_at")[:8],
    }


site.show_on_home(Panel("operator/panels/tickets.html", _tickets, place=60))
