"""Whether a tenant's sealed statements still say what its ledger, its invoices and their own hashes say."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from apps.ai_usage import selectors as ledger
from apps.ai_usage.types import EventDigest
from apps.billing import selectors
from apps.billing.models import BillingPeriod, Invoice, LateUsage, Statement
from apps.billing.sealing import START, lines_hash, statement_hash


def event_digest_of(period: BillingPeriod) -> EventDigest:
    """The events of a period's statement: each belongs to its own month's, or to the one on which it was late."""
    late = LateUsage.objects.filter(occurred_at__gte=period.starts_at, occurred_at__lt=period.ends_at)
    here = LateUsage.objects.filter(billed_in=period.pk)
    return ledger.event_digest(
        period.starts_at,
        period.ends_at,
        without=list(late.values_list("event_id", flat=True)),
        and_also=list(here.values_list("event_id", flat=True)),
    )


def statement_problems(*, tenant_id: UUID) -> Iterator[tuple[datetime, str]]:
    """The period and what does not hold, for each statement of the tenant in force, oldest first."""
    previous = START
    rows = Statement.objects.select_related("period").filter(tenant_id=tenant_id).order_by("closed_at", "id")
    for statement in rows:
        month = statement.period.starts_at
        if bytes(statement.previous_hash) != previous:
            yield month, "it does not follow the statement before it"
        if statement_hash(statement) != bytes(statement.hash):
            yield month, "its content was changed"
        digest = event_digest_of(statement.period)
        if digest.hash != bytes(statement.events_hash) or digest.count != statement.event_count:
            yield month, "the usage events behind it are not those that were sealed"
        invoice = Invoice.objects.filter(tenant_id=tenant_id, period=statement.period).first()
        lines = list(selectors.lines_of(invoice.pk)) if invoice else []
        if lines_hash(lines) != bytes(statement.lines_hash):
            yield month, "the lines of its invoice are not those that were sealed"
        previous = bytes(statement.hash)
