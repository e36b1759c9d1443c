"""What the operator requires of every tenant's data boundary."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.errors import DomainError
from apps.governance.data_boundary.policy import Floor
from apps.governance.data_boundary.settings import floor, set_floor
from apps.governance.types import Actor, ActorKind


class Command(BaseCommand):
    help = (
        'data_boundary require \'{"request": {"credit_card": "block"}}\': what every tenant has to redact or block '
        "at least, whether what cannot be inspected is blocked (block_on_failure), and how long content may be "
        "kept (most_retention_days). Replaces what was required before; '{}' requires nothing. data_boundary show: "
        "print it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("show", help="print what is required now")
        require = actions.add_parser("require", help="require something else from the next request on")
        require.add_argument("requirement", help="JSON")
        require.add_argument("--by", default="operator", help="who requires it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "require":
            try:
                wanted = json.loads(options["requirement"])
                if not isinstance(wanted, dict):
                    raise CommandError("Give a JSON object.")
                unknown = set(wanted) - set(Floor().to_json())
                if unknown:
                    raise CommandError(f"There is no {', '.join(sorted(unknown))} here.")
                set_floor(Floor.from_json(wanted), actor=Actor(kind=ActorKind.OPERATOR, name=options["by"]))
            except json.JSONDecodeError as error:
                raise CommandError(f"This is not JSON: {error}") from error
            except DomainError as error:
                raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(floor().to_json(), indent=2))
