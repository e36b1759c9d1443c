"""Check a tenant's sealed books."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.billing.management.saying import SayingCommand, add_action
from apps.billing.models import Statement
from apps.billing.scopes import inside
from apps.billing.verifying import statement_problems
from apps.tenancy import selectors as tenants

Said = tuple[list[str], Any]


class Command(SayingCommand):
    help = "Statements: verify SLUG."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verify = add_action(actions, "verify", "compare a tenant's statements with its ledger and invoices")
        verify.add_argument("slug")

    def verify(self, *, slug: str, **_: Any) -> Said:
        """verify SLUG"""
        tenant = tenants.tenant_by_slug(slug)
        with inside(tenant):
            problems = list(statement_problems(tenant_id=tenant.id))
            count = Statement.objects.filter(tenant_id=tenant.id).count()
        if problems:
            told = "; ".join(f"{month:%Y-%m}: {what}" for month, what in problems)
            raise CommandError(f"The statements of {slug} do not hold. {told}.")
        return [f"{count} statements of {slug} hold: events, lines and chain."], {
            "slug": slug,
            "statements": count,
        }
