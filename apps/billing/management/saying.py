"""What billing's commands have in common: one clear sentence and a failing exit code when something can't
be done."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from apps.errors import DomainError
from apps.governance.types import Actor


class SayingCommand(BaseCommand):
    """A command of several actions, each a method that returns what it did as sentences and as data."""

    # Each action checks what it needs; Django's own checks would take longer than most of them.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        action: Callable[..., tuple[list[str], Any]] = getattr(self, options["action"].replace("-", "_"))
        with refusing():
            said, data = action(**options)
        if options["json"]:
            self.stdout.write(json.dumps(data, default=str))
        else:
            for sentence in said:
                self.stdout.write(sentence)

    def actor(self) -> Actor:
        """Who acts when somebody types a command."""
        return Actor.system(f"manage.py {type(self).__module__.rpartition('.')[2]}")


def add_action(actions: Any, name: str, help: str) -> CommandParser:
    """One action with the option that all have."""
    parser: CommandParser = actions.add_parser(name, help=help)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    return parser


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what can be expected to go wrong into the command's one sentence."""
    try:
        yield
    except DomainError as refused:
        raise CommandError(refused.message) from refused
    except OperationalError as away:
        first = str(away).strip().splitlines()[0]
        raise CommandError(
            f"The database does not answer: {first}. Start it, or check CONTROL_DATABASE_URL."
        ) from away
    except ProgrammingError as wrong:
        first = str(wrong).strip().splitlines()[0]
        raise CommandError(
            f"The database is not ready for this ({first}). Run `manage.py migrate_all` first."
        ) from wrong
