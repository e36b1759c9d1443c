"""Make the demo of `make up` where it is missing, and print who and what is there."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from apps.billing import demo, services
from apps.billing.catalogue.reading import read_catalogue
from apps.billing.management.saying import refusing
from apps.governance.types import Actor
from apps.tenancy.services import in_public


class Command(BaseCommand):
    help = "Demo catalogue, operator and tenants for a local system. Repeating it changes nothing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        memory = demo.Memory(settings.LOCKSTEP_HOME / "demo.json")
        actor, now = Actor.system("bootstrap_demo"), timezone.now()
        file = settings.BASE_DIR / "deploy" / "catalogues" / "demo.yaml"
        with refusing(), in_public():
            catalogue = read_catalogue(
                file.read_text(encoding="utf-8"),
                resolve=lambda reference: demo.resolve(reference.partition(":")[2]),
                now=now,
            )
            services.apply_catalogue(catalogue, actor=actor, now=now)
            made: dict[str, Any] = {
                "operator": demo.ensure_operator(memory, actor=actor),
                "tenants": [demo.ensure_tenant(one, memory, actor=actor, now=now) for one in demo.TENANTS],
            }
        if options["json"]:
            self.stdout.write(json.dumps(made))
            return
        for tenant in made["tenants"]:
            self.stdout.write(f"{tenant['slug']}: {tenant['url']}, owner {tenant['owner']['email']}")
        self.stdout.write(f"Secrets are in {settings.LOCKSTEP_HOME / 'demo.json'}.")
