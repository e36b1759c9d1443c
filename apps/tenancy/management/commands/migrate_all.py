"""Bring the shared tables, then every tenant's schema, to the code's head."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.tenancy import migrating, services


class Command(BaseCommand):
    help = "Migrate public and every tenant's schema. Resumable; schemas already at head are skipped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--spares", type=int, default=0, help="keep this many empty schemas ready")

    def handle(self, *args: Any, **options: Any) -> None:
        migrating.migrate_public()
        failed = migrating.migrate_tenants(self.stdout.write)
        services.refill_spare_schemas(options["spares"])
        if failed:
            raise CommandError(f"These schemas failed and are taken up by the next run: {', '.join(failed)}.")
        self.stdout.write("Every schema is at head.")
