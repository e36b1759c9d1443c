"""The keys of what tenants keep of prompts and answers."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.errors import DomainError
from apps.governance.content import keys
from apps.governance.types import Actor, ActorKind
from apps.tenancy.selectors import all_tenants, tenant_by_slug
from apps.tenancy.services import in_tenant
from apps.tenancy.types import TenantState


class Command(BaseCommand):
    help = (
        "content rotate SLUG: a new data key for a tenant. content shred SLUG: destroy its data keys, and so all "
        "that is kept. content rewrap: seal every data key under the first key of CREDENTIAL_KEY, after which an older "
        "one can be taken away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name in ("rotate", "shred"):
            actions.add_parser(name).add_argument("slug")
        actions.add_parser("rewrap")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Actor(kind=ActorKind.OPERATOR, name="manage.py content")
        try:
            if options["action"] == "rewrap":
                count = 0
                for tenant in all_tenants(TenantState.READY, TenantState.SUSPENDED):
                    with in_tenant(tenant):
                        count += keys.rewrap_keys()
                self.stdout.write(f"{count} data keys are sealed under the newest master key.")
                return
            with in_tenant(tenant_by_slug(options["slug"])):
                if options["action"] == "rotate":
                    self.stdout.write(f"Data key {keys.rotate_key(actor=actor)} encrypts from now on.")
                else:
                    self.stdout.write(f"{keys.shred(actor=actor)} data keys were destroyed.")
        except DomainError as error:
            raise CommandError(str(error)) from error
