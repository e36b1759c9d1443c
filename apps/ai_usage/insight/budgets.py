"""What the ledger says of a budget in its window, for pages and the API."""

from decimal import Decimal

from django.db import connection

from apps.ai_usage.ledger.spent import calls_statement, spent_statement
from apps.governance.admission.types import BudgetWindow
from apps.tenancy.selectors import current_tenant

# Beyond this the count of calls stops; pages say "more than".
MOST_CALLS = 10_000


def spent_in(window: BudgetWindow) -> Decimal:
    """What was spent of a budget, in its unit: money exactly, tokens whole."""
    with connection.cursor() as cursor:
        cursor.execute(*spent_statement(current_tenant().schema, window))
        return Decimal(cursor.fetchone()[0])


def would_have_refused(window: BudgetWindow) -> int:
    """How many calls a shadow budget would have refused, up to MOST_CALLS."""
    with connection.cursor() as cursor:
        cursor.execute(*calls_statement(current_tenant().schema, window, MOST_CALLS))
        return int(cursor.fetchone()[0])
