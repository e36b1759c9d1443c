"""Make the people who run the platform."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.errors import DomainError
from apps.governance.types import Actor
from apps.identity.services import create_operator


class Command(BaseCommand):
    help = "Operators: create EMAIL [--name NAME] [--password-stdin] [--json]"

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser(
            "create", help="make an operator; without a password one is made and printed once"
        )
        create.add_argument("email")
        create.add_argument("--name", default="")
        create.add_argument(
            "--password-stdin", action="store_true", help="read the password's first line from stdin"
        )
        create.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        # A password on the command line would be in the shell's history and in the list of processes.
        password = sys.stdin.readline().rstrip("\r\n") if options["password_stdin"] else None
        if password == "":
            raise CommandError("--password-stdin was given, but there is no password on standard input.")
        try:
            made = create_operator(
                email=options["email"],
                name=options["name"],
                password=password,
                actor=Actor.system("manage.py operator"),
            )
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {"id": str(made.id), "email": made.email, "name": made.name, "password": made.password}
                )
            )
            return
        self.stdout.write(f"Operator {made.email} can sign in to the operator admin.")
        if made.password:
            self.stdout.write(f"Password (shown only now): {made.password}")
