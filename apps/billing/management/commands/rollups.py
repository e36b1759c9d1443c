"""Count what waits, or make a month's sums again from its events."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from apps.billing import services
from apps.billing.management.saying import SayingCommand, add_action
from apps.tenancy import selectors as tenants

Said = tuple[list[str], Any]


class Command(SayingCommand):
    help = "Roll-ups: run SLUG, rebuild SLUG MONTH."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        run = add_action(actions, "run", "count a tenant's events that wait, and refresh its draft invoice")
        run.add_argument("slug")
        rebuild = add_action(actions, "rebuild", "make a month's hours and days again from the events")
        rebuild.add_argument("slug")
        rebuild.add_argument("month", help="as in 2026-11")

    def run(self, *, slug: str, **_: Any) -> Said:
        """run SLUG"""
        counted = services.roll_up_tenant(tenants.tenant_by_slug(slug), now=timezone.now())
        return [f"{counted} events of {slug} were counted."], {"slug": slug, "events": counted}

    def rebuild(self, *, slug: str, month: str, **_: Any) -> Said:
        """rebuild SLUG MONTH"""
        try:
            first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        except ValueError:
            raise CommandError(f"{month} is not a month like 2026-11.") from None
        differing = services.rebuild_month(tenants.tenant_by_slug(slug), first, now=timezone.now())
        outcome = "differed from what was stored" if differing else "are what was stored"
        return [f"The sums of {slug} for {month} were made again and {outcome}."], {
            "slug": slug,
            "month": month,
            "differed": differing,
        }
