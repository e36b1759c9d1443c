"""Check a tenant's audit log against its hash chain."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.errors import DomainError
from apps.governance import services
from apps.tenancy.selectors import tenant_by_slug
from apps.tenancy.services import in_tenant


class Command(BaseCommand):
    help = "audit verify SLUG: find an edited, removed or moved entry of a tenant's audit log."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        verify = actions.add_parser("verify", help="check the whole log")
        verify.add_argument("slug")
        verify.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with in_tenant(tenant_by_slug(options["slug"])):
                entries = services.verify_chain()
        except DomainError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"tenant": options["slug"], "entries": entries, "intact": True}))
        else:
            self.stdout.write(f"The audit log of {options['slug']} is intact: {entries} entries.")
